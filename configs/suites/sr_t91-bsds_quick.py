"""Super-resolution at x4 on real photographs: EDSR's baseline teaches an IMDN of half the width."""
title = 'T91 + BSDS, x4'
main_metric = 'PSNR'
teachers = {'edsr-baseline': dict(config='configs/alone/alone_edsr-baseline_quick_t91-bsds-x4.py')}
runs = [
    dict(method='alone', student='imdn', config='configs/alone/alone_{student}_quick_t91-bsds-x4.py', seeds=[0, 1]),
    dict(method='alone', student='imdn-half', config='configs/alone/alone_{student}_quick_t91-bsds-x4.py', seeds=[0, 1, 2]),
    dict(method=['OutputKD', 'FeatureKD', 'FAKD', 'WaveletKD'], student='imdn-half', teacher='edsr-baseline', config='configs/{method}/{method}_imdn-half_edsr-baseline_quick_t91-bsds-x4.py', seeds=[0, 1, 2]),
]
