from .segmentation import SegMetric
from .zero_shot import ZeroShotIoUMetric

__all__ = ['SegMetric', 'ZeroShotIoUMetric']
