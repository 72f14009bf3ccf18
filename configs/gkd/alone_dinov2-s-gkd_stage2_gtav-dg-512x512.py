# GKD 2 of F2F
_base_ = ['../_base_/models/dinov2-s.py', '../_base_/datasets/gtav-dg.py', '../_base_/protocols/gkd_stage2_paper.py', '../_base_/runtime.py']
student_name = 'dinov2-s-gkd'
model = dict(student=dict(backbone=dict(frozen=True, init_cfg=dict(type='Pretrained', checkpoint='work_dirs/gkd_dinov2-s_dinov2-b_stage1b_gtav-512x512/iter_58500.pth'))))
default_hooks = dict(checkpoint=dict(interval=4000))
