# 1b by the squared difference of patch tokens in place of GKD; the encoder's class token is only read by its patches
_base_ = './gkd_deit-ti_vit-s_stage1b_camvid-160x160.py'
model = dict(methods=[dict(type='FeatureKD', student='patches', teacher='patches', loss='mse')])
