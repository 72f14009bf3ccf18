# the same at once, by the squared difference of patch tokens place by place
_base_ = './gkd_deit-ti_vit-s_domains_camvid-domains-160x160.py'
model = dict(methods=[dict(type='FeatureKD', student='backbone.patches', teacher='patches', loss='mse')])
