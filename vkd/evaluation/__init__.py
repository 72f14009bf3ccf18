from .multi_domain import MultiDomainIoUMetric
from .segmentation import SegMetric
from .zero_shot import ZeroShotIoUMetric

__all__ = ['MultiDomainIoUMetric', 'SegMetric', 'ZeroShotIoUMetric']
