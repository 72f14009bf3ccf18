"""Zero-shot on CamVid without CLIP's image weights: an ordinary classifier, the CLIP semantic head with real text and a random end of CLIP, and distillation from a stand-in teacher.

First: tools/cache_text_embeddings.py and tools/fit_text_tower.py, as docs/chimera_seg.md says.
"""
title = 'Zero-shot on CamVid (Pavement, Fence and Car unseen), EfficientNet-Lite0 (ImageNet), crops of 160x160, 300 iterations of batch 8'
body = dict(student='lite0-in1k', seeds=[0, 1])
runs = [
    dict(body, method='alone', config='configs/chimera_seg/linear_lite0-in1k_crops_camvid-zs-160x160.py'),
    dict(body, method='alone', label='CSH, k=0', config='configs/chimera_seg/csh-k0_lite0-in1k_crops_camvid-zs-160x160.py'),
    dict(body, method='ChimeraSeg', label='CSH, k=0, SGD from a stand-in', config='configs/chimera_seg/chimera-seg_lite0-in1k_stand-in_crops_camvid-zs-160x160.py'),
    dict(body, method='alone', label='CSH, k=1 (values of a random block)', config='configs/chimera_seg/csh-k1-value_lite0-in1k_crops_camvid-zs-160x160.py'),
    dict(body, method='alone', label='CSH, k=1 (a random block)', config='configs/chimera_seg/csh-k1_lite0-in1k_crops_camvid-zs-160x160.py'),
]
del body
