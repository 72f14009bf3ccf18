# PVTv2-B2 (timm), FPN of 256 channels, FPNHead of 128, from scratch
student_name = 'pvt-v2-b2'
student_kind = 'transformer'
student = dict(
    type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True, size_divisor=32),
    backbone=dict(type='TIMMBackbone', model_name='pvt_v2_b2', features_only=True, pretrained=False, out_indices=(0, 1, 2, 3), drop_path_rate=0.1),
    neck=dict(type='FPN', in_channels=[64, 128, 320, 512], out_channels=256, num_outs=4),
    decode_head=dict(type='FPNHead', in_channels=[256] * 4, in_index=[0, 1, 2, 3], feature_strides=[4, 8, 16, 32], channels=128, num_classes=11, dropout_ratio=0.1,
                     norm_cfg=dict(type='BN'), align_corners=False, loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)),
    test_cfg=dict(mode='whole'))
model = dict(type='vkd.Distiller', student=student, methods=[])
