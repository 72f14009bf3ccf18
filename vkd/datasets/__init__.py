from .camvid import CamVidDataset
from .cityscapes import ACDCDataset, CityscapesDataset
from .demo import DemoDataset, DrawScene
from .loading import LoadImage, LoadLabel
from .nyuv2 import NYUv2Dataset
from .root import data_root
from .shift import RandomShift
from .voc import VOCDataset
from .zero_shot import COCOStuffDataset, MaskUnseenLabels, PascalContext59Dataset, VOC20Dataset, ZeroShotCamVidDataset

__all__ = ['ACDCDataset', 'COCOStuffDataset', 'CamVidDataset', 'CityscapesDataset', 'DemoDataset', 'DrawScene', 'LoadImage', 'LoadLabel', 'MaskUnseenLabels', 'NYUv2Dataset', 'PascalContext59Dataset',
           'RandomShift', 'VOC20Dataset', 'VOCDataset', 'ZeroShotCamVidDataset', 'data_root']
