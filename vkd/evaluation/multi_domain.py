"""Segmentation scores over several domains in one pass: each domain's own, and their unweighted mean."""

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from ..errors import UserError, nearest
from ..registry import METRICS
from .scores import AACC, MACC, MIOU
from .segmentation import over_processes, report, sample_counts


def mean_report(reports, classes):
    """The unweighted mean of the ``report`` of each domain, of a class over the domains that have it: ``dict(images, classes, aAcc, mIoU,
    mAcc, IoU, Acc)``; images are summed.
    """
    out = dict(images=sum(r['images'] for r in reports), classes=list(classes))
    for key in ('aAcc', 'mIoU', 'mAcc'):
        out[key] = round(float(np.mean([r[key] for r in reports])), 4)
    for key in ('IoU', 'Acc'):
        columns = [[v for v in column if v is not None] for column in zip(*(r[key] for r in reports), strict=False)]
        out[key] = [round(float(np.mean(column)), 4) if column else None for column in columns]
    return out


@METRICS.register_module()
class MultiDomainIoUMetric(BaseMetric):
    """``mIoU.<domain>`` of each domain of a MultiDomainDataset, and ``mIoU``, ``mAcc``, ``aAcc``, their unweighted means (percent, two
    decimals), however many images each has.

    The domain is named in each sample's metainfo. Every image must come once over all processes, as for SegMetric. After ``evaluate``,
    ``report`` holds the means to four decimals, and each domain's scores under ``domains``.

    Args:
        mean_over (list, optional): the domains that the means are of; the others are only reported. All by default.

    Raises:
        UserError: for a sample of an unknown domain, a domain without an image or a label, a name in ``mean_over`` that is no domain.
    """

    default_prefix = None
    declared_scores = (MIOU, MACC, AACC)

    def __init__(self, ignore_index=255, mean_over=None, prefix=None):
        super().__init__(prefix=prefix)
        self.ignore_index, self.mean_over = ignore_index, None if mean_over is None else list(mean_over)
        self.counts, self.images, self.report = {}, {}, None

    @property
    def domains(self):
        names = (self.dataset_meta or {}).get('domains')
        if not names:
            raise UserError('MultiDomainIoUMetric: the data set names no domains; make it a vkd.MultiDomainDataset, or use vkd.SegMetric.')
        wrong = [name for name in self.mean_over or () if name not in names]
        if wrong or self.mean_over == []:
            raise UserError(
                f'MultiDomainIoUMetric: mean_over names {wrong[0] if wrong else "nothing"!r}, which is no domain of the data set; '
                f'{nearest(wrong[0] if wrong else "", names)}.'
            )
        return list(names)

    def process(self, data_batch, data_samples):
        k, domains = len(self.dataset_meta['classes']), self.domains
        for sample in data_samples:
            name = sample.get('domain')
            if name not in domains:
                raise UserError(
                    f'{sample.get("img_path", "an image")}: its domain is {name!r}, but those of the data set are {", ".join(domains)}; '
                    'name it in the metainfo of the sample, as vkd.MultiDomainDataset does.'
                )
            counts = sample_counts(sample, 'pred_sem_seg', k, self.ignore_index)
            self.counts[name] = self.counts[name] + counts if name in self.counts else counts
            self.images[name] = self.images.get(name, 0) + 1

    def evaluate(self, size):
        k, domains, classes = len(self.dataset_meta['classes']), self.domains, self.dataset_meta['classes']
        device = next((c.device for c in self.counts.values()), torch.device('cpu'))
        counts = torch.stack([self.counts.get(name, torch.zeros(k, k, dtype=torch.int64, device=device)) for name in domains])
        counts, images = over_processes(counts, torch.tensor([self.images.get(name, 0) for name in domains], device=device))
        counts, images = counts.cpu(), images.tolist()
        self.counts, self.images = {}, {}
        if sum(images) != size:
            raise UserError(
                f'MultiDomainIoUMetric saw {sum(images)} images of a set of {size}; use sampler=dict(type="DefaultSampler", shuffle=False, '
                'round_up=False), so that each comes once.',
                code='incomplete-set',
            )
        if 0 in images:
            raise UserError(
                f'MultiDomainIoUMetric: domain {domains[images.index(0)]!r} has no image, so the mean would be of fewer domains than it '
                'says; fix its data set.'
            )
        if not all(counts.flatten(1).sum(1)):
            raise UserError(
                f'MultiDomainIoUMetric: no pixel of domain {domains[counts.flatten(1).sum(1).tolist().index(0)]!r} has a label, so the '
                'mean would be of fewer domains than it says; fix its labels, or ignore_index.'
            )
        mean_over = self.mean_over or domains
        own = {name: dict(report(c, classes, n), in_mean=name in mean_over) for name, c, n in zip(domains, counts, images, strict=False)}
        self.report = dict(mean_report([own[name] for name in mean_over], classes), domains=own)
        return {f'{self.prefix}/{key}' if self.prefix else key: value for key, value in self.compute_metrics(self.report).items()}

    def compute_metrics(self, found):
        """What is logged of ``report``."""
        return {
            **{key: round(found[key], 2) for key in ('aAcc', 'mIoU', 'mAcc')},
            **{f'mIoU.{name}': round(r['mIoU'], 2) for name, r in found['domains'].items()},
        }
