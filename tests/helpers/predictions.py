"""Predictions and labels for the metrics of segmentation."""

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample


def sample(pred, label):
    """A data sample with a prediction and a label ``[H, W]``, as a metric gets it."""
    return SegDataSample(
        pred_sem_seg=PixelData(data=pred[None]), gt_sem_seg=PixelData(data=label[None]), metainfo=dict(img_path='x.png')
    ).to_dict()


def pairs(n=5, k=6, shape=(37, 53), seed=0, labels=None):
    """``n`` pairs ``(prediction, label)`` of ``k`` classes: 6 of 10 pixels right, 1 of 10 ignored."""
    random = torch.Generator().manual_seed(seed)
    out = []
    for i in range(n):
        label = torch.randint(k, shape, generator=random) if labels is None else labels[i]
        pred = torch.where(
            torch.rand(label.shape, generator=random) < 0.6, label.clamp(max=k - 1), torch.randint(k, label.shape, generator=random)
        )
        out.append((pred, torch.where(torch.rand(label.shape, generator=random) < 0.1, 255, label)))
    return out
