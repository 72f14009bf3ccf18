"""All methods between a frozen teacher and a student, on one pair: SegFormer-B0 taught by a SegFormer-B2 that learnt the same data."""
title = 'CamVid: crops of 160x160, 300 iterations of batch 8: SegFormer-B2 to B0'
teachers = {'mit-b2': dict(config='configs/alone/alone_mit-b2_crops_camvid-160x160.py')}
pair = dict(student='mit-b0', teacher='mit-b2', seeds=[0, 1])
runs = [
    dict(method='alone', student='mit-b0', config='configs/alone/alone_mit-b0_crops_camvid-160x160.py', seeds=[0, 1]),
    dict(method=['AT', 'FitNet', 'FeatureKD', 'DIST', 'MGD', 'CWD', 'KL'], config='configs/{method}/{method}_{student}_{teacher}_crops_camvid-160x160.py', **pair),
    *[dict(method='TransKD', label=f'TransKD-{v}', config=f'configs/transkd/transkd-{v}_{{student}}_{{teacher}}_crops_camvid-160x160.py', **pair) for v in ('base', 'gl', 'ea')],
]
