from .segmentation import SegMetric

__all__ = ['SegMetric']
