# GKD 2 of F2F: the decoder learns the task on the frozen encoder of 1b
_base_ = ['../_base_/models/deit-ti.py', '../_base_/datasets/camvid-domains-160x160.py', '../_base_/protocols/gkd_stage2.py', '../_base_/runtime.py']
student_name = 'deit-ti-gkd'
model = dict(student=dict(backbone=dict(frozen=True, init_cfg=dict(type='Pretrained', checkpoint='work_dirs/gkd_deit-ti_vit-s_stage1b_camvid-160x160/iter_300.pth'))))
