"""Potsdam and Vaihingen, as mmsegmentation's converters cut them into tiles."""

from pathlib import Path

from mmseg.datasets import ISPRSDataset as _ISPRSDataset
from mmseg.datasets import PotsdamDataset as _PotsdamDataset

from ..registry import DATASETS
from .listing import list_pairs
from .root import Rooted


class _Tiles(Rooted):
    splits = ('train', 'val')

    def __init__(self, data_root=None, split='train', **kwargs):
        self.set_split(split)
        folders = dict(img_path=f'img_dir/{split}', seg_map_path=f'ann_dir/{split}')
        super().__init__(**{**dict(data_root=data_root or self.default_root, data_prefix=folders), **kwargs})

    def load_data_list(self):
        labels = Path(self.data_prefix['seg_map_path'])
        images = Path(self.data_prefix['img_path']).glob(f'*{self.img_suffix}')
        return list_pairs(self, images, lambda image: labels / (image.name.removesuffix(self.img_suffix) + self.seg_map_suffix))


@DATASETS.register_module()
class PotsdamDataset(_Tiles, _PotsdamDataset):
    """ISPRS Potsdam in 5 classes and clutter; label 0 is not a class and is ignored.

    mmseg's data set, below ``VKD_DATA_ROOT`` where that is set, with errors that name the file. ``data_root`` holds
    ``img_dir/<split>/*.png`` and ``ann_dir/<split>/*.png``.

    Args:
        split: 'train' or 'val'.

    Raises:
        UserError: for an unknown split, a missing or empty root, or an image without its label.
    """

    default_root = 'data/potsdam_rgb'


@DATASETS.register_module()
class ISPRSDataset(_Tiles, _ISPRSDataset):
    """ISPRS Vaihingen, otherwise as ``PotsdamDataset``."""

    default_root = 'data/vaihingen'
