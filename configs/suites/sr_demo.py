"""Super-resolution on drawn pictures at x2: a teacher, the small student alone, and four ways to distil, three seeds each."""
title = 'Demo: drawn pictures, x2'
main_metric = 'PSNR'
teachers = {'edsr-narrow': dict(config='configs/alone/alone_edsr-narrow_quick_demo-x2.py')}
runs = [
    dict(method='alone', student='imdn-narrow', config='configs/alone/alone_imdn-narrow_quick_demo-x2.py', seeds=[0, 1, 2]),
    dict(method=['OutputKD', 'FeatureKD', 'FAKD', 'WaveletKD'], student='imdn-narrow', teacher='edsr-narrow', config='configs/{method}/{method}_imdn-narrow_edsr-narrow_quick_demo-x2.py', seeds=[0, 1, 2]),
]
