from .ct import CTMetric
from .multi_domain import MultiDomainIoUMetric
from .restoration import RestorationMetric
from .segmentation import SegMetric
from .zero_shot import ZeroShotIoUMetric

__all__ = ['CTMetric', 'MultiDomainIoUMetric', 'RestorationMetric', 'SegMetric', 'ZeroShotIoUMetric']
