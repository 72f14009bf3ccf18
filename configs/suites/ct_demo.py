"""Sparse-view CT on drawn phantoms: the back-projection, a small network alone, and distilled from one that sees twice the views."""
title = 'Demo: drawn phantoms, 12 views of 96'
main_metric = 'PSNR'
runs = [
    dict(method='alone', student='untouched', config='configs/alone/alone_untouched_quick_demo-ct-12v.py', seeds=[0]),
    dict(method='alone', student='glorenet-w8', config='configs/alone/alone_glorenet-w8_quick_demo-ct-12v.py', seeds=[0, 1, 2]),
    *[dict(method='GloReDi', label=f'GloReDi-{v}', student='glorenet-w8', peer='dense', config=f'configs/gloredi/gloredi-{v}_glorenet-w8_dense_quick_demo-ct-12v.py', seeds=[0, 1, 2]) for v in ('rdd', 'full')],
]
