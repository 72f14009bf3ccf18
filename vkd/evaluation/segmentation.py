"""Segmentation metric: one bincount an image, on its device, one reduction at the end."""
import numpy as np
import torch
import torch.distributed as dist
from mmengine.evaluator import BaseMetric

from ..errors import UserError
from ..registry import METRICS


def confusion_counts(pred, label, num_classes, ignore_index=255):
    """Confusion counts ``[K, K]`` (row: truth, column: prediction), int64, on the device of ``pred``; no synchronisation.

    Args:
        pred: class ids ``[H, W]`` in 0 .. K-1. label: the same shape; ``ignore_index`` is left out.
    """
    keep = label != ignore_index
    index = torch.where(keep, label.long() * num_classes + pred.long(), num_classes * num_classes)
    return torch.bincount(index.flatten(), minlength=num_classes ** 2 + 1)[:-1].view(num_classes, num_classes)


def seg_scores(counts):
    """``dict(aAcc, mIoU, mAcc, IoU, Acc)`` in percent from confusion counts; a class that is neither predicted nor true is NaN."""
    counts = np.asarray(counts, dtype=np.float64)
    hit, truth, pred = counts.diagonal(), counts.sum(1), counts.sum(0)
    with np.errstate(divide='ignore', invalid='ignore'):
        iou, acc = 100 * hit / (truth + pred - hit), 100 * hit / truth
        return dict(aAcc=float(100 * hit.sum() / counts.sum()), mIoU=float(np.nanmean(iou)), mAcc=float(np.nanmean(acc)), IoU=iou, Acc=acc)


@METRICS.register_module()
class SegMetric(BaseMetric):
    """mIoU, mAcc, aAcc (percent, two decimals, as mmseg's IoUMetric) and ``IoU.<class>`` of each class.

    Counts stay on the device of the predictions and are summed over processes once. Every image must come once over all processes
    (``DefaultSampler(shuffle=False, round_up=False)``); padding is refused because it would count an image twice.
    """

    default_prefix = None

    def __init__(self, ignore_index=255, prefix=None):
        super().__init__(prefix=prefix)
        self.ignore_index = ignore_index
        self.counts, self.images = None, 0

    def process(self, data_batch, data_samples):
        k = len(self.dataset_meta['classes'])
        for sample in data_samples:
            pred = sample['pred_sem_seg']['data'].squeeze()
            label = sample['gt_sem_seg']['data'].squeeze().to(pred.device)
            if pred.shape != label.shape:
                raise UserError(f'{sample.get("img_path", "an image")}: prediction {tuple(pred.shape)} and label {tuple(label.shape)} differ in size; load annotations after resizing.')
            counts = confusion_counts(pred, label, k, self.ignore_index)
            self.counts = counts if self.counts is None else self.counts + counts
            self.images += 1

    def evaluate(self, size):
        k = len(self.dataset_meta['classes'])
        counts = torch.zeros(k, k, dtype=torch.int64) if self.counts is None else self.counts
        images = torch.tensor([self.images], device=counts.device)
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            if dist.get_backend() == 'nccl':
                counts, images = counts.cuda(), images.cuda()
            dist.all_reduce(counts)
            dist.all_reduce(images)
        self.counts, seen, self.images = None, int(images), 0
        if seen != size:
            raise UserError(f'SegMetric saw {seen} images of a set of {size}; use sampler=dict(type="DefaultSampler", shuffle=False, round_up=False), so that each comes once.')
        self.last_counts = counts.cpu()
        return {f'{self.prefix}/{key}' if self.prefix else key: value for key, value in self.compute_metrics(self.last_counts).items()}

    def compute_metrics(self, counts):
        scores = seg_scores(counts)
        out = {key: round(scores[key], 2) for key in ('aAcc', 'mIoU', 'mAcc')}
        out.update({f'IoU.{name}': round(float(v), 2) for name, v in zip(self.dataset_meta['classes'], scores['IoU'])})
        return out
