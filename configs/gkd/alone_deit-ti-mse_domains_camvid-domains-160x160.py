# stage 2 after featurekd_deit-ti_vit-s_stage1b_camvid-160x160.py
_base_ = './alone_deit-ti-gkd_domains_camvid-domains-160x160.py'
student_name = 'deit-ti-mse'
model = dict(student=dict(backbone=dict(init_cfg=dict(checkpoint='work_dirs/featurekd_deit-ti_vit-s_stage1b_camvid-160x160/iter_300.pth'))))
