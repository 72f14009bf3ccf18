"""All methods between a frozen teacher and a student, on one pair: SegFormer-B0 taught by a SegFormer-B2 that learnt the same data."""
title = 'VOC with SBD, 40,000 iterations: SegFormer-B2 to B0'
teachers = {'mit-b2': dict(config='configs/alone/alone_mit-b2_40k_voc-aug-512x512.py')}
pair = dict(student='mit-b0', teacher='mit-b2', seeds=[0, 1])
runs = [
    dict(method='alone', student='mit-b0', config='configs/alone/alone_mit-b0_40k_voc-aug-512x512.py', seeds=[0, 1]),
    dict(method=['KL', 'CWD', 'DIST', 'AT', 'FitNet', 'FeatureKD', 'MGD'], config='configs/{method}/{method}_{student}_{teacher}_40k_voc-aug-512x512.py', **pair),
    *[dict(method='TransKD', label=f'TransKD-{v}', config=f'configs/transkd/transkd-{v}_{{student}}_{{teacher}}_40k_voc-aug-512x512.py', **pair) for v in ('base', 'gl', 'ea')],
]
