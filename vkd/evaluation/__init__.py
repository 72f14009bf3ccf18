from .restoration import RestorationMetric
from .segmentation import SegMetric
from .zero_shot import ZeroShotIoUMetric

__all__ = ['RestorationMetric', 'SegMetric', 'ZeroShotIoUMetric']
