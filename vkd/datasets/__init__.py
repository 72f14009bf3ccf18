from .camvid import CamVidDataset
from .cityscapes import ACDCDataset, CityscapesDataset
from .corruptions import Corrupt
from .demo import DemoDataset, DrawScene
from .domains import MultiDomainDataset
from .loading import LoadImage, LoadLabel
from .nyuv2 import NYUv2Dataset
from .root import data_root
from .shift import RandomShift
from .street import StreetDataset
from .unlabeled import ImageNetAugment, RepeatedAugmentation, UnlabeledImageDataset
from .voc import VOCDataset

__all__ = ['ACDCDataset', 'CamVidDataset', 'CityscapesDataset', 'Corrupt', 'DemoDataset', 'DrawScene', 'ImageNetAugment', 'LoadImage', 'LoadLabel', 'MultiDomainDataset', 'NYUv2Dataset', 'RandomShift', 'RepeatedAugmentation', 'StreetDataset', 'UnlabeledImageDataset', 'VOCDataset', 'data_root']
