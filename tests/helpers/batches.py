"""Batches of noise, and the losses of a model on them."""

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from helpers.networks import CLASSES


def batch(n=2, size=(32, 64), classes=CLASSES, seed=0):
    """``n`` noise images of ``size = (H, W)`` with labels of 0 .. ``classes`` - 1."""
    random = torch.Generator().manual_seed(seed)
    samples = [
        SegDataSample(
            metainfo=dict(ori_shape=size, img_shape=size, pad_shape=size),
            gt_sem_seg=PixelData(data=torch.randint(classes, (1, *size), generator=random)),
        )
        for _ in range(n)
    ]
    return dict(inputs=[torch.randint(256, (3, *size), generator=random, dtype=torch.uint8) for _ in range(n)], data_samples=samples)


def image_batch(n=2, size=(16, 24), scale=2, seed=0):
    """``n`` noise images of ``size = (H, W)``, and the truth, ``scale`` times as large."""
    from mmengine.structures import BaseDataElement

    random = torch.Generator().manual_seed(seed)

    def draw(factor):
        return torch.randint(256, (3, factor * size[0], factor * size[1]), generator=random, dtype=torch.uint8)

    return dict(
        inputs=[draw(1) for _ in range(n)], data_samples=[BaseDataElement(metainfo=dict(name=str(i)), gt_img=draw(scale)) for i in range(n)]
    )


def losses(model, data):
    """The dict of losses of ``model`` on ``data``."""
    return model(**model.data_preprocessor(data, True), mode='loss')


def total(model, data):
    """The sum of ``model``'s losses on ``data``, with its gradient."""
    return model.parse_losses(losses(model, data))[0]
