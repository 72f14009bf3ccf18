"""Data sets and their transforms."""

from .. import _mmseg  # noqa: F401  (before others import it, because it does so quietly)
from ..registry import import_all
from .ade20k import ADE20KDataset
from .camvid import CamVidDataset
from .cityscapes import ACDCDataset, CityscapesDataset
from .ct import ClipHU, CTSliceDataset, LoadCTSlice, PackCTInputs, ResizeHU
from .demo import DemoDataset, DrawScene
from .demo_phantoms import DemoPhantomDataset, DrawPhantom
from .demo_pictures import DemoPictureDataset, DrawPicture
from .domains import MultiDomainDataset
from .isprs import ISPRSDataset, PotsdamDataset
from .loading import LoadImage, LoadLabel
from .nyuv2 import NYUv2Dataset
from .restoration import (
    BasicImageDataset,
    Flip,
    LoadImageFromFile,
    MATLABLikeResize,
    ModCrop,
    PackInputs,
    PairedRandomCrop,
    RandomDegradation,
    RandomTransposeHW,
)
from .root import data_root
from .shift import RandomShift
from .street import StreetDataset
from .unlabeled import ImageNetAugment, RepeatedAugmentation, UnlabeledImageDataset
from .voc import VOCDataset
from .zero_shot import COCOStuffDataset, MaskUnseenLabels, PascalContext59Dataset, VOC20Dataset, ZeroShotCamVidDataset

__all__ = [
    'ACDCDataset',
    'ADE20KDataset',
    'BasicImageDataset',
    'COCOStuffDataset',
    'CTSliceDataset',
    'CamVidDataset',
    'CityscapesDataset',
    'ClipHU',
    'DemoDataset',
    'DemoPhantomDataset',
    'DemoPictureDataset',
    'DrawPhantom',
    'DrawPicture',
    'DrawScene',
    'Flip',
    'ISPRSDataset',
    'ImageNetAugment',
    'LoadCTSlice',
    'LoadImage',
    'LoadImageFromFile',
    'LoadLabel',
    'MATLABLikeResize',
    'MaskUnseenLabels',
    'ModCrop',
    'MultiDomainDataset',
    'NYUv2Dataset',
    'PackCTInputs',
    'PackInputs',
    'PairedRandomCrop',
    'PascalContext59Dataset',
    'PotsdamDataset',
    'RandomDegradation',
    'RandomShift',
    'RandomTransposeHW',
    'RepeatedAugmentation',
    'ResizeHU',
    'StreetDataset',
    'UnlabeledImageDataset',
    'VOC20Dataset',
    'VOCDataset',
    'ZeroShotCamVidDataset',
    'data_root',
]

import_all(__name__, __path__)
