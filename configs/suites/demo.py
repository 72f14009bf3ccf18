"""The first run of a newcomer: a wide teacher, the narrow student alone, and three ways to distil, three seeds each, on drawn scenes."""
title = 'Demo: drawn street scenes'
teachers = dict(wide=dict(config='configs/alone/alone_wide_quick_demo.py'))
runs = [
    dict(method='alone', student='narrow', config='configs/alone/alone_narrow_quick_demo.py', seeds=[0, 1, 2]),
    dict(method=['KL', 'CWD', 'FeatureKD'], student='narrow', teacher='wide', config='configs/{method}/{method}_narrow_wide_quick_demo.py', seeds=[0, 1, 2]),
]
