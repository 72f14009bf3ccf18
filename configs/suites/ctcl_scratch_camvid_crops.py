"""CTCL-R, its parts, and what it is compared with: EfficientNet-Lite0 and SegFormer-B0, both from scratch, learning beside each other."""
title = 'CTCL-R on CamVid: Lite0 and SegFormer-B0, crops of 160x160, 300 iterations of batch 8'
pair = dict(student='lite0', peer='mit-b0', config='configs/{method}/{method}_{student}_{peer}_crops_camvid-160x160.py', seeds=[0, 1])
runs = [
    dict(method='alone', student=['lite0', 'mit-b0'], config='configs/alone/alone_{student}_crops_camvid-160x160.py', seeds=[0, 1]),
    dict(pair, method='CTCL', label='CTCL-R'),
    dict(pair, method=['DML', 'KDCL', 'IFVD']),
    *[dict(pair, method='CTCL', label=f'CTCL-R without {part}', options={f'model.methods.0.{key}_weight': 0}) for part, key in (('HFD', 'hfd'), ('regions', 'region'), ('pixels', 'pixel'))],
]
