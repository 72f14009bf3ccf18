from .camvid import CamVidDataset
from .cityscapes import ACDCDataset, CityscapesDataset
from .demo import DemoDataset, DrawScene
from .loading import LoadImage, LoadLabel
from .nyuv2 import NYUv2Dataset
from .root import data_root
from .shift import RandomShift
from .unlabeled import ImageNetAugment, RepeatedAugmentation, UnlabeledImageDataset
from .voc import VOCDataset

__all__ = ['ACDCDataset', 'CamVidDataset', 'CityscapesDataset', 'DemoDataset', 'DrawScene', 'ImageNetAugment', 'LoadImage', 'LoadLabel', 'NYUv2Dataset', 'RandomShift', 'RepeatedAugmentation', 'UnlabeledImageDataset', 'VOCDataset', 'data_root']
