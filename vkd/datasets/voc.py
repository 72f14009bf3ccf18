"""Pascal VOC 2012, with the additional labels of SBD."""

from pathlib import Path

from mmseg.datasets import BaseSegDataset, PascalVOCDataset

from ..registry import DATASETS
from .listing import list_pairs, read_list
from .root import Rooted

#: lists of each split, with the folder of their labels
SPLITS = dict(
    train=[('train', 'SegmentationClass')],
    val=[('val', 'SegmentationClass')],
    trainaug=[('train', 'SegmentationClass'), ('aug', 'SegmentationClassAug')],
)


@DATASETS.register_module()
class VOCDataset(Rooted, BaseSegDataset):
    """Everingham et al.; 20 classes and background, 255 is ignored: 1464 training and 1449 validation images; 'trainaug' adds 9118 of
    Hariharan et al., ICCV 2011.

    mmseg's classes, below ``VKD_DATA_ROOT`` where that is set, with errors that name the file. ``data_root`` is ``VOCdevkit/VOC2012`` as
    mmseg lays it out: ``JPEGImages``, ``SegmentationClass``, ``SegmentationClassAug``, and ``ImageSets/Segmentation/{train,aug,val}.txt``.

    Args:
        split: 'train', 'trainaug' or 'val'.

    Raises:
        UserError: for an unknown split, a missing root or list, or a listed image without its files.
    """

    METAINFO = PascalVOCDataset.METAINFO

    splits = tuple(SPLITS)

    def __init__(self, data_root='data/VOCdevkit/VOC2012', split='train', **kwargs):
        self.set_split(split)
        super().__init__(data_root=data_root, data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'), **kwargs)

    def load_data_list(self):
        out = []
        for name, labels in SPLITS[self.split]:
            file = Path(self.data_root, f'ImageSets/Segmentation/{name}.txt')
            images = read_list(self, file, self.data_prefix['img_path'])
            out += list_pairs(self, images, lambda image, labels=labels: Path(self.data_root, labels, f'{image.stem}.png'))
        return out
