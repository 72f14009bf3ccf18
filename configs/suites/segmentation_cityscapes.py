"""All methods between a frozen teacher and a student, on one pair: SegFormer-B0 taught by a SegFormer-B2 that learnt the same data."""
title = 'Cityscapes, 80,000 iterations: SegFormer-B2 to B0'
teachers = {'mit-b2': dict(protocol='80k')}
_of = dict(student='mit-b0', data='cityscapes-512x1024', protocol='80k', seeds=[0, 1])
runs = [
    dict(_of, method='alone'),
    dict(_of, method=['KL', 'CWD', 'DIST', 'AT', 'FitNet', 'FeatureKD', 'MGD'], teacher='mit-b2'),
]
