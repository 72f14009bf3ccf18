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
from .zero_shot import COCOStuffDataset, MaskUnseenLabels, PascalContext59Dataset, VOC20Dataset, ZeroShotCamVidDataset

__all__ = ['ACDCDataset', 'COCOStuffDataset', 'CamVidDataset', 'CityscapesDataset', 'Corrupt', 'DemoDataset', 'DrawScene', 'ImageNetAugment', 'LoadImage', 'LoadLabel', 'MaskUnseenLabels', 'MultiDomainDataset',
           'NYUv2Dataset', 'PascalContext59Dataset', 'RandomShift', 'RepeatedAugmentation', 'StreetDataset', 'UnlabeledImageDataset', 'VOC20Dataset', 'VOCDataset', 'ZeroShotCamVidDataset', 'data_root']
