from .multi_domain import MultiDomainIoUMetric
from .segmentation import SegMetric

__all__ = ['MultiDomainIoUMetric', 'SegMetric']
