"""Zero-shot on CamVid without CLIP's image weights: an ordinary classifier, the CLIP semantic head with real text and a random end of CLIP, and distillation from a stand-in teacher.

First: tools/cache_text_embeddings.py and tools/fit_text_tower.py, as docs/chimera_seg.md says.
"""
title = 'Zero-shot on CamVid (Pavement, Fence and Car unseen), EfficientNet-Lite0 (ImageNet), crops of 160x160, 300 iterations of batch 8'
runs = [
    dict(method='alone', student=['lite0-in1k', 'lite0-in1k-csh-k0'], config='configs/alone/alone_{student}_crops_camvid-zs-160x160.py', seeds=[0, 1]),
    dict(method='ChimeraSeg', label='SGD from a stand-in', student='lite0-in1k-csh-k0', config='configs/chimeraseg/chimeraseg_{student}_stand-in_crops_camvid-zs-160x160.py', seeds=[0, 1]),
    dict(method='alone', student='lite0-in1k-csh-k1-value', config='configs/alone/alone_{student}_crops_camvid-zs-160x160.py', seeds=[0, 1]),
]
