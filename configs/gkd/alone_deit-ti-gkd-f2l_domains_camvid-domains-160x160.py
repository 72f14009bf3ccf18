# GKD 2 of F2L
_base_ = './alone_deit-ti-gkd_domains_camvid-domains-160x160.py'
student_name = 'deit-ti-gkd-f2l'
model = dict(student=dict(backbone=dict(init_cfg=dict(checkpoint='work_dirs/gkd_deit-ti_vit-s_stage1b-f2l_camvid-160x160/iter_300.pth'))))
