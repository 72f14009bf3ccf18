# DeiT-Ti (timm), four blocks' maps as a pyramid, SegFormer's head
student_name = 'deit-ti'
student_kind = 'transformer'
student = dict(
    type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True, size_divisor=16),
    backbone=dict(type='vkd.TimmViT', arch='deit_tiny_patch16_224', img_size=160, out_indices=(3, 5, 7, 11), pyramid=True),
    decode_head=dict(type='SegformerHead', in_channels=[192] * 4, in_index=[0, 1, 2, 3], channels=256, num_classes=11, dropout_ratio=0.1, norm_cfg=dict(type='BN'),
                     align_corners=False, loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)),
    test_cfg=dict(mode='whole'))
model = dict(type='vkd.Distiller', student=student, methods=[])
