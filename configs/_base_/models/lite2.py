# EfficientNet-Lite2 (timm), FPN of 64 channels, FPNHead
student_name = 'lite2'
student_kind = 'cnn'
student = dict(
    type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True, size_divisor=32),
    backbone=dict(type='TIMMBackbone', model_name='tf_efficientnet_lite2', features_only=True, pretrained=False, out_indices=(1, 2, 3, 4)),
    neck=dict(type='FPN', in_channels=[24, 48, 120, 352], out_channels=64, num_outs=4),
    decode_head=dict(type='FPNHead', in_channels=[64] * 4, in_index=[0, 1, 2, 3], feature_strides=[4, 8, 16, 32], channels=64, num_classes=11, dropout_ratio=0.1,
                     norm_cfg=dict(type='BN'), align_corners=False, loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)),
    test_cfg=dict(mode='whole'))
model = dict(type='vkd.Distiller', student=student, methods=[])
