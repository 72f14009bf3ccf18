"""TransKD as it is meant: SegFormer-B0 from scratch, taught by a SegFormer-B2 that learnt the same data for longer."""
title = 'TransKD on CamVid: crops of 160x160, 300 iterations of batch 8'
teachers = {'mit-b2': dict(protocol='crops')}
_of = dict(student='mit-b0', data='camvid-160x160', protocol='crops', seeds=[0, 1])
runs = [
    dict(_of, method='alone'),
    dict(_of, method=['KL', 'CWD', 'TransKD-base', 'TransKD-gl', 'TransKD-ea'], teacher='mit-b2'),
]
