"""Sparse-view CT on real slices of 128x128: the back-projection, a network alone, and GloReDi with one term, with both, and as its release has it."""
title = 'Real CT slices at 128x128, 36 and 72 views of 720'
main_metric = 'PSNR'
_data = ['ct-slices-128x128-36v', 'ct-slices-128x128-72v']
runs = [
    dict(method='alone', student='untouched', data=_data, config='configs/alone/alone_{student}_quick_{data}.py', seeds=[0]),
    dict(method='alone', student=['glorenet-w16', 'glorenet-w16-legacy'], data=_data, config='configs/alone/alone_{student}_quick_{data}.py', seeds=[0, 1]),
    *[dict(method='GloReDi', label=f'GloReDi-{v}', student=s, peer='dense', data=_data, config=f'configs/gloredi/gloredi-{v}_{{student}}_dense_quick_{{data}}.py', seeds=[0, 1])
      for v, s in (('rdd', 'glorenet-w16'), ('full', 'glorenet-w16'), ('release', 'glorenet-w16-legacy'))],
]
