# DeiT-S (timm) at 512x512, tested by windows of that size
_base_ = './deit-ti.py'
student_name = 'deit-s'
student_kind = 'transformer'
model = dict(student=dict(backbone=dict(arch='deit_small_patch16_224', img_size=512), decode_head=dict(in_channels=[384] * 4, num_classes=19),
                          data_preprocessor=dict(_delete_=True, type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True, size=(512, 512)),
                          test_cfg=dict(_delete_=True, mode='slide', crop_size=(512, 512), stride=(341, 341))))
