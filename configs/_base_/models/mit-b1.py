# SegFormer-B1, from scratch
student_name = 'mit-b1'
student_kind = 'transformer'
student = dict(
    type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True, size_divisor=32),
    backbone=dict(type='MixVisionTransformer', embed_dims=64, num_layers=[2, 2, 2, 2], num_heads=[1, 2, 5, 8], sr_ratios=[8, 4, 2, 1], out_indices=(0, 1, 2, 3), mlp_ratio=4,
                  qkv_bias=True, drop_path_rate=0.1),
    decode_head=dict(type='SegformerHead', in_channels=[64, 128, 320, 512], in_index=[0, 1, 2, 3], channels=256, num_classes=11, dropout_ratio=0.1, norm_cfg=dict(type='BN'),
                     align_corners=False, loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)),
    test_cfg=dict(mode='whole'))
model = dict(type='vkd.Distiller', student=student, methods=[])
