"""CamVid on a CPU: does an ImageNet teacher help EfficientNet-Lite0, from scratch and with ImageNet weights of its own?"""
title = 'CamVid, quick: 240x320, 200 iterations of batch 8'
teachers = {'lite2-in1k': dict(config='configs/alone/alone_lite2-in1k_quick_camvid-240x320.py')}
methods = ['KL', 'CWD', 'FeatureKD']
runs = [
    dict(method='alone', student='lite0', config='configs/alone/alone_{student}_quick_camvid-240x320.py', seeds=[0, 1, 2]),
    dict(method=methods, student='lite0', teacher='lite2-in1k', config='configs/{method}/{method}_{student}_{teacher}_quick_camvid-240x320.py', seeds=[0, 1, 2]),
    dict(method='alone', student='lite0-in1k', config='configs/alone/alone_{student}_quick_camvid-240x320.py', seeds=[0, 1]),
    dict(method=methods, student='lite0-in1k', teacher='lite2-in1k', config='configs/{method}/{method}_{student}_{teacher}_quick_camvid-240x320.py', seeds=[0, 1]),
]
