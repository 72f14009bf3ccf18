# GKD 2: the decoder on the frozen DeiT-S, trained on Potsdam RGB, tested on Potsdam and Vaihingen IRRG
_base_ = ['../_base_/models/deit-s.py', '../_base_/datasets/potsdam-dg.py', '../_base_/protocols/gkd_stage2_paper.py', '../_base_/runtime.py']
student_name = 'deit-s-gkd'
model = dict(student=dict(backbone=dict(frozen=True, init_cfg=dict(type='Pretrained', checkpoint='work_dirs/gkd_deit-s_dinov2-b_stage1b_potsdam-512x512/iter_8100.pth')), decode_head=dict(num_classes=6)))
default_hooks = dict(checkpoint=dict(interval=4000))
