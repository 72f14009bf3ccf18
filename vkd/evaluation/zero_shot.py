"""Scores of generalised zero-shot segmentation: all classes compete at every pixel, and the two groups are read off one confusion matrix."""

import numpy as np

from ..errors import UserError
from ..registry import METRICS
from ..text.zero_shot import Split
from .scores import HIOU, SEEN, UNSEEN
from .segmentation import SegMetric, seg_scores


def harmonic_mean(seen, unseen):
    """hIoU, ``2 S U / (S + U)`` of two mean IoU: 0 where both are 0, None where either is None."""
    if seen is None or unseen is None:
        return None
    return 2 * seen * unseen / (seen + unseen) if seen + unseen else 0.0


def zero_shot_scores(counts, seen, unseen):
    """``dict(mIoU_seen, mIoU_unseen, hIoU)`` in percent from confusion counts ``[K, K]`` (row: truth) and the ids of either group.

    A group's mean leaves out classes that are neither true nor predicted; the harmonic mean is of the two means. A group of which no pixel
    is true in the whole set has None, not 0, and so has hIoU then.
    """
    counts = np.asarray(counts)
    iou = seg_scores(counts)['IoU']

    def mean(group):
        group = list(group)
        return float(np.nanmean(iou[group])) if group and counts[group].sum() else None

    s, u = mean(seen), mean(unseen)
    return dict(mIoU_seen=s, mIoU_unseen=u, hIoU=harmonic_mean(s, u))


@METRICS.register_module()
class ZeroShotIoUMetric(SegMetric):
    """``SegMetric`` with ``mIoU_seen`` (S), ``mIoU_unseen`` (U) and their harmonic mean ``hIoU``; its ``aAcc`` is what the literature calls
    pAcc. ``mIoU`` and ``IoU.<class>`` are of all classes.

    The groups are the ids ``seen`` and ``unseen`` in the data set's ``metainfo``. What is absent (see ``zero_shot_scores``) is None in
    ``report`` and left out of the logged scores.

    Raises UserError where ``metainfo`` has no groups, or ones that do not share out the classes.
    """

    declared_scores = (*SegMetric.declared_scores, SEEN, UNSEEN, HIOU)

    def describe(self, counts, images):
        scores = zero_shot_scores(counts, *self._groups())
        return dict(super().describe(counts, images), **{k: None if v is None else round(v, 4) for k, v in scores.items()})

    def compute_metrics(self, counts):
        scores = zero_shot_scores(counts, *self._groups())
        return {**super().compute_metrics(counts), **{k: round(v, 2) for k, v in scores.items() if v is not None}}

    def _groups(self):
        meta = self.dataset_meta
        if 'unseen' not in meta:
            raise UserError(
                "ZeroShotIoUMetric: the data set's metainfo names no unseen classes; use a data set of vkd.datasets.zero_shot, or write "
                "metainfo=dict(seen=…, unseen=…) in its config."
            )
        split = Split(meta['classes'], meta['unseen'], meta.get('seen'))
        return split.seen, split.unseen
