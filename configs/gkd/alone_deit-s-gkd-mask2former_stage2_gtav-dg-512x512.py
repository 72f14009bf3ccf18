# GKD 2 with the authors' decoder, Mask2Former; needs mmdet and an mmcv with compiled operators
_base_ = ['./alone_deit-s-gkd_stage2_gtav-dg-512x512.py', '../_base_/models/mask2former.py']
student_name = 'deit-s-gkd-mask2former'
model = dict(student=dict(decode_head=dict(_delete_=True, **_base_.mask2former)))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.mask2former_decay))
