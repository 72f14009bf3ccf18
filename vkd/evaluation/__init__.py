"""Metrics, each with what its scores are. Metrics import torch, so that all of them are imported when the first is asked for; scores do not."""

from typing import TYPE_CHECKING, Any

from .scores import Score, score_of

if TYPE_CHECKING:
    from .ct import CTMetric
    from .multi_domain import MultiDomainIoUMetric
    from .restoration import RestorationMetric
    from .segmentation import SegMetric
    from .zero_shot import ZeroShotIoUMetric

__all__ = ['CTMetric', 'MultiDomainIoUMetric', 'RestorationMetric', 'Score', 'SegMetric', 'ZeroShotIoUMetric', 'score_of']


def __getattr__(name: str) -> Any:
    if not name.startswith('_'):
        from .. import _mmseg  # noqa: F401
        from ..registry import METRICS, import_all

        import_all(__name__, __path__)
        if name in METRICS.module_dict:
            return METRICS.module_dict[name]
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
