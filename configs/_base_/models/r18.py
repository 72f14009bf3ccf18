# ResNet-18 (d8) with DeepLabV3+ and an auxiliary head, 19 classes
_base_ = './r50.py'
student_name = 'r18'
student_kind = 'cnn'
model = dict(student=dict(backbone=dict(depth=18), decode_head=dict(in_channels=512, channels=128, c1_in_channels=64, c1_channels=12), auxiliary_head=dict(in_channels=256, channels=64)))
