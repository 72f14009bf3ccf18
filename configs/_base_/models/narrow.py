# ResNet-18 of base width 8 under an all-MLP head, for the demo's 9 classes; rare and thin classes weigh more
student_name = 'narrow'
student_kind = 'cnn'
student = dict(
    type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor', mean=[127.5] * 3, std=[64.] * 3, bgr_to_rgb=True, size_divisor=32),
    backbone=dict(type='ResNetV1c', depth=18, stem_channels=8, base_channels=8, strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1), out_indices=(0, 1, 2, 3), norm_cfg=dict(type='BN')),
    decode_head=dict(type='SegformerHead', in_channels=[8, 16, 32, 64], in_index=[0, 1, 2, 3], channels=32, num_classes=9, dropout_ratio=0.1, norm_cfg=dict(type='BN'),
                     align_corners=False, loss_decode=dict(type='CrossEntropyLoss', class_weight=[0.6, 0.6, 0.5, 0.6, 1, 1.5, 4, 4, 6])),
    test_cfg=dict(mode='whole'))
model = dict(type='vkd.Distiller', student=student, methods=[])
