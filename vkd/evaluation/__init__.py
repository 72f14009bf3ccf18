"""Metrics, each with what its scores are."""

from ..registry import import_all
from .ct import CTMetric
from .multi_domain import MultiDomainIoUMetric
from .restoration import RestorationMetric
from .scores import Score, score_of
from .segmentation import SegMetric
from .zero_shot import ZeroShotIoUMetric

__all__ = ['CTMetric', 'MultiDomainIoUMetric', 'RestorationMetric', 'Score', 'SegMetric', 'ZeroShotIoUMetric', 'score_of']

import_all(__name__, __path__)
