# MobileNetV2 (d8) with DeepLabV3+ and an auxiliary head, 19 classes
_base_ = './r50.py'
student_name = 'mobilenet-v2'
student_kind = 'cnn'
model = dict(student=dict(
    backbone=dict(_delete_=True, type='MobileNetV2', widen_factor=1., strides=(1, 2, 2, 1, 1, 1, 1), dilations=(1, 1, 1, 2, 2, 4, 4), out_indices=(1, 2, 4, 6), norm_cfg=dict(type='BN')),
    decode_head=dict(in_channels=320, c1_in_channels=24), auxiliary_head=dict(in_channels=96)))
