"""All methods between a frozen teacher and a student, on one pair: SegFormer-B0 taught by a SegFormer-B2 that learnt the same data."""
title = 'CamVid: crops of 160x160, 300 iterations of batch 8: SegFormer-B2 to B0'
teachers = {'mit-b2': dict(protocol='crops')}
_of = dict(student='mit-b0', data='camvid-160x160', protocol='crops', seeds=[0, 1])
runs = [
    dict(_of, method='alone'),
    dict(_of, method=['AT', 'FitNet', 'FeatureKD', 'DIST', 'MGD', 'CWD', 'KL', 'TransKD-base', 'TransKD-gl', 'TransKD-ea'], teacher='mit-b2'),
]
