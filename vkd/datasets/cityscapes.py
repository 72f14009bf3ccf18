"""Cityscapes, and ACDC, which has its 19 classes."""

from pathlib import Path

from mmseg.datasets import CityscapesDataset as _CityscapesDataset

from ..errors import choice
from ..registry import DATASETS
from .listing import list_pairs
from .root import Rooted

CONDITIONS = ('fog', 'night', 'rain', 'snow')


@DATASETS.register_module()
class CityscapesDataset(Rooted, _CityscapesDataset):
    """Cordts et al., CVPR 2016: 2975 training and 500 validation images of 2048x1024 in 19 classes; 255 is ignored.

    mmseg's data set, below ``VKD_DATA_ROOT`` where that is set, with errors that name the file. ``data_root`` holds
    ``leftImg8bit/<split>/<city>/*_leftImg8bit.png`` and ``gtFine/<split>/<city>/*_gtFine_labelTrainIds.png`` (made by cityscapesscripts).

    Args:
        split: 'train' or 'val'.

    Raises:
        UserError: for an unknown split, a missing or empty root, or an image without its label.
    """

    splits = ('train', 'val')

    def __init__(self, data_root='data/cityscapes', split='train', **kwargs):
        self.set_split(split)
        super().__init__(
            **{**dict(data_root=data_root, data_prefix=dict(img_path=f'leftImg8bit/{split}', seg_map_path=f'gtFine/{split}')), **kwargs}
        )

    def load_data_list(self):
        images, labels = Path(self.data_prefix['img_path']), Path(self.data_prefix['seg_map_path'])
        return list_pairs(
            self,
            self._images(images),
            lambda image: labels / image.relative_to(images).with_name(image.name.removesuffix(self.img_suffix) + self.seg_map_suffix),
        )

    def _images(self, folder):
        return folder.glob(f'*/*{self.img_suffix}')


@DATASETS.register_module()
class ACDCDataset(CityscapesDataset):
    """The Adverse Conditions Dataset (Sakaridis et al., ICCV 2021): 1600 training and 406 validation images of 1920x1080; 255 is ignored.

    ``data_root`` holds, as it is distributed, ``rgb_anon/<condition>/<split>/<sequence>/*_rgb_anon.png`` and
    ``gt/<condition>/<split>/<sequence>/*_gt_labelTrainIds.png``.

    Args:
        split: 'train' or 'val' (the labels of 'test' are not public).
        conditions: which of 'fog', 'night', 'rain', 'snow'.

    Raises:
        UserError: for an unknown split or condition, a missing or empty root, or an image without its label.
    """

    def __init__(self, data_root='data/acdc', split='train', conditions=CONDITIONS, **kwargs):
        self.conditions = tuple(choice('ACDCDataset', 'condition', c, CONDITIONS) for c in conditions)
        super().__init__(
            data_root,
            split,
            data_prefix=dict(img_path='rgb_anon', seg_map_path='gt'),
            img_suffix='_rgb_anon.png',
            seg_map_suffix='_gt_labelTrainIds.png',
            **kwargs,
        )

    def _images(self, folder):
        return (p for condition in self.conditions for p in (folder / condition / self.split).glob(f'*/*{self.img_suffix}'))
