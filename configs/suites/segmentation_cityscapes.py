"""All methods between a frozen teacher and a student, on one pair: SegFormer-B0 taught by a SegFormer-B2 that learnt the same data."""
title = 'Cityscapes, 80,000 iterations: SegFormer-B2 to B0'
teachers = {'mit-b2': dict(config='configs/alone/alone_mit-b2_80k_cityscapes-512x1024.py')}
pair = dict(student='mit-b0', teacher='mit-b2', seeds=[0, 1])
runs = [
    dict(method='alone', student='mit-b0', config='configs/alone/alone_mit-b0_80k_cityscapes-512x1024.py', seeds=[0, 1]),
    dict(method=['KL', 'CWD', 'DIST', 'AT', 'FitNet', 'FeatureKD', 'MGD'], config='configs/{method}/{method}_{student}_{teacher}_80k_cityscapes-512x1024.py', **pair),
]
