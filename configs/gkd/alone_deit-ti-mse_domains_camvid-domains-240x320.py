# stage 2 after featurekd_deit-ti_vit-s_stage1b_camvid-240x240.py
_base_ = './alone_deit-ti-gkd_domains_camvid-domains-240x320.py'
model = dict(student=dict(backbone=dict(init_cfg=dict(checkpoint='work_dirs/featurekd_deit-ti_vit-s_stage1b_camvid-240x240/iter_600.pth'))))
