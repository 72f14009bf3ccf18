from .camvid import CamVidDataset
from .demo import DemoDataset, DrawScene
from .loading import LoadImage, LoadLabel
from .root import data_root

__all__ = ['CamVidDataset', 'DemoDataset', 'DrawScene', 'LoadImage', 'LoadLabel', 'data_root']
