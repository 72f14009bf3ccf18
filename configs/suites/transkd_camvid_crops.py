"""TransKD as it is meant: SegFormer-B0 from scratch, taught by a SegFormer-B2 that learnt the same data for longer."""
title = 'TransKD on CamVid: crops of 160x160, 300 iterations of batch 8'
teachers = {'mit-b2': dict(config='configs/alone/alone_mit-b2_crops_camvid-160x160.py')}
runs = [
    dict(method='alone', student='mit-b0', config='configs/alone/alone_{student}_crops_camvid-160x160.py', seeds=[0, 1]),
    dict(method=['KL', 'CWD'], student='mit-b0', teacher='mit-b2', config='configs/{method}/{method}_{student}_{teacher}_crops_camvid-160x160.py', seeds=[0, 1]),
    *[dict(method='TransKD', label=f'TransKD-{v}', student='mit-b0', teacher='mit-b2', config=f'configs/transkd/transkd-{v}_{{student}}_{{teacher}}_crops_camvid-160x160.py', seeds=[0, 1])
      for v in ('base', 'gl', 'ea')],
]
