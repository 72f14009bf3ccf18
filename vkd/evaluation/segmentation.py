"""Segmentation metric: one bincount an image, on its device, one reduction at the end."""

import numpy as np
import torch
import torch.distributed as dist
from mmengine.evaluator import BaseMetric

from ..errors import UserError
from ..registry import METRICS
from .scores import AACC, MACC, MIOU


def confusion_counts(pred, label, num_classes, ignore_index=255):
    """Confusion counts ``[K, K]`` (row: truth, column: prediction), int64, on the device of ``pred``; no synchronisation.

    Args:
        pred: class ids ``[H, W]`` in 0 .. K-1.
        label: the same shape; ``ignore_index`` is left out.

    Raises UserError for a label of K or more on the CPU; on a GPU, where looking would wait for the device, such pixels are left out.
    """
    k = num_classes
    # K bins for what is ignored, then row by row; what lies beyond is no class
    index = torch.add(pred.long(), label, alpha=k).add_(k).masked_fill_(label == ignore_index, 0).flatten()
    if index.is_cuda:  # bincount there reads its largest value back, which would wait
        counts = _scatter_counts(index, k + k * k)
    else:
        counts = torch.bincount(index, minlength=k + k * k)
        if len(counts) > k + k * k:
            raise UserError(
                f'A label holds class {(len(counts) - 1) // k - 1}, but there are {k} classes (0 to {k - 1}) and {ignore_index} is '
                'ignored; '
                'fix the label files or the classes of the dataset.'
            )
    return counts[k:].view(k, k)


def _scatter_counts(index, bins):
    """``bincount`` of ids in 0 .. bins-1 that waits for no device; larger ids are left out."""
    one = torch.ones((), dtype=torch.int64, device=index.device)
    return torch.zeros(bins + 1, dtype=torch.int64, device=index.device).scatter_add_(0, index.clamp(max=bins), one.expand_as(index))[:-1]


def sample_counts(sample, field, num_classes, ignore_index=255):
    """``confusion_counts`` of the prediction ``field`` of an mmseg data sample. Raises UserError where it and the label differ in size."""
    pred, label = sample[field]['data'].squeeze(), sample['gt_sem_seg']['data'].squeeze()
    if pred.shape != label.shape:
        raise UserError(
            f'{sample.get("img_path", "an image")}: prediction {tuple(pred.shape)} and label {tuple(label.shape)} differ in size; load '
            'annotations after resizing.'
        )
    return confusion_counts(pred, label.to(pred.device), num_classes, ignore_index)


def seg_scores(counts):
    """``dict(aAcc, mIoU, mAcc, IoU, Acc)`` in percent from confusion counts; a class that is neither predicted nor true is NaN."""
    counts = np.asarray(counts, dtype=np.float64)
    hit, truth, pred = counts.diagonal(), counts.sum(1), counts.sum(0)
    with np.errstate(divide='ignore', invalid='ignore'):
        iou, acc = 100 * hit / (truth + pred - hit), 100 * hit / truth
        return dict(aAcc=float(100 * hit.sum() / counts.sum()), mIoU=float(np.nanmean(iou)), mAcc=float(np.nanmean(acc)), IoU=iou, Acc=acc)


def over_processes(*tensors):
    """The sums of ``tensors`` over all processes; themselves where there is one."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return tensors
    tensors = [t.cuda() for t in tensors] if dist.get_backend() == 'nccl' else tensors
    for tensor in tensors:
        dist.all_reduce(tensor)
    return tensors


def report(counts, classes, images):
    """What metrics.json holds of a test set: scores in percent, lists in the order of ``classes``, None where a class neither occurs nor is
    predicted.
    """

    def plain(v):
        return None if np.isnan(v) else round(float(v), 4)

    return dict(
        images=images,
        classes=list(classes),
        **{k: [plain(x) for x in v] if isinstance(v, np.ndarray) else plain(v) for k, v in seg_scores(counts).items()},
    )


@METRICS.register_module()
class SegMetric(BaseMetric):
    """mIoU, mAcc, aAcc (percent, two decimals, as mmseg's IoUMetric) and ``IoU.<class>`` of each class.

    Counts stay on the device of the predictions and are summed over processes once. Every image must come once over all processes
    (``DefaultSampler(shuffle=False, round_up=False)``); padding is refused because it would count an image twice. After ``evaluate``,
    ``report`` holds the scores to four decimals.

    Args:
        peers: ``{label: role}`` of a Distiller with peers, such as ``dict(cnn='student', vit='vit')``: the scores are those of each,
            ``cnn/mIoU`` and so on, and of the mean of their probabilities, ``ensemble/mIoU``, counted in the same pass. ``report`` is then
            the student's (else the first's), and holds the others' under ``peers``.
    """

    default_prefix = None
    declared_scores = (MIOU, MACC, AACC)

    def __init__(self, ignore_index=255, prefix=None, peers=None):
        super().__init__(prefix=prefix)
        if 'ensemble' in (peers or {}):
            raise UserError("SegMetric: 'ensemble' names the mean of all peers; choose another label for one of them.")
        self.ignore_index, self.peers = ignore_index, dict(peers or {})
        self.fields = {
            label: 'pred_sem_seg' + ('' if role == 'student' else f'_{role}')
            for label, role in {**self.peers, **({'ensemble': 'ensemble'} if peers else {})}.items()
        } or {None: 'pred_sem_seg'}
        self.counts, self.images, self.report = None, 0, None

    def process(self, data_batch, data_samples):
        k = len(self.dataset_meta['classes'])
        for sample in data_samples:
            counts = torch.stack([self._count(sample, field, k) for field in self.fields.values()])
            self.counts = counts if self.counts is None else self.counts + counts
            self.images += 1

    def _count(self, sample, field, k):
        if field not in sample:
            known = [f.removeprefix('pred_sem_seg').removeprefix('_') or 'student' for f in sample if f.startswith('pred_sem_seg')]
            raise UserError(
                f'SegMetric: peers names {field.removeprefix("pred_sem_seg_")!r}, but the model predicts as {", ".join(known)}; name roles '
                'that learn.'
            )
        return sample_counts(sample, field, k, self.ignore_index)

    def evaluate(self, size):
        k = len(self.dataset_meta['classes'])
        counts = torch.zeros(len(self.fields), k, k, dtype=torch.int64) if self.counts is None else self.counts
        images = torch.tensor([self.images], device=counts.device)
        counts, images = over_processes(counts, images)
        self.counts, seen, self.images = None, int(images), 0
        if seen != size:
            raise UserError(
                f'SegMetric saw {seen} images of a set of {size}; use sampler=dict(type="DefaultSampler", shuffle=False, round_up=False), '
                'so that each comes once.',
                code='incomplete-set',
            )
        counts = dict(zip(self.fields, counts.cpu(), strict=True))
        own = {label: dict(self.describe(c, seen), role=self.peers.get(label, label)) for label, c in counts.items() if label}
        first = next((label for label, role in self.peers.items() if role == 'student'), next(iter(counts)))
        self.report = dict(self.describe(counts[first], seen), **(dict(peers=own) if own else {}))
        scores = {
            '/'.join([label, key] if label else [key]): v for label, c in counts.items() for key, v in self.compute_metrics(c).items()
        }
        return {f'{self.prefix}/{key}' if self.prefix else key: value for key, value in scores.items()}

    def describe(self, counts, images):
        """What metrics.json holds of one network's confusion counts."""
        return report(counts, self.dataset_meta['classes'], images)

    def compute_metrics(self, counts):
        scores = seg_scores(counts)
        out = {key: round(scores[key], 2) for key in ('aAcc', 'mIoU', 'mAcc')}
        out.update({f'IoU.{name}': round(float(v), 2) for name, v in zip(self.dataset_meta['classes'], scores['IoU'], strict=True)})
        return out
