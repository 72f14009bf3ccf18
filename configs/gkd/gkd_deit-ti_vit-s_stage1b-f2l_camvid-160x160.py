# GKD 1b after 1a (F2L)
_base_ = './gkd_deit-ti_vit-s_stage1b_camvid-160x160.py'
protocol_name = 'stage1b-f2l'
model = dict(student=dict(init_cfg=dict(type='Pretrained', checkpoint='work_dirs/gkd_deit-ti_vit-s_stage1a_proxy-160x160/iter_300.pth')))
