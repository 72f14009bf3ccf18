"""ACDC: driving in fog, night, rain and snow, in the 19 classes of Cityscapes."""
from pathlib import Path

from mmseg.datasets import CityscapesDataset

from ..errors import UserError
from ..registry import DATASETS
from .listing import list_pairs
from .root import data_root

CONDITIONS = ('fog', 'night', 'rain', 'snow')


@DATASETS.register_module()
class ACDCDataset(CityscapesDataset):
    """The Adverse Conditions Dataset (Sakaridis et al., ICCV 2021): 1600 training and 406 validation images of 1920x1080; 255 is ignored.

    ``data_root`` holds, as it is distributed, ``rgb_anon/<condition>/<split>/<sequence>/*_rgb_anon.png`` and ``gt/<condition>/<split>/<sequence>/*_gt_labelTrainIds.png``.

    Args:
        split: 'train' or 'val' (the labels of 'test' are not public).
        conditions: which of 'fog', 'night', 'rain', 'snow'.

    Raises:
        UserError: for an unknown condition, a missing or empty root, or an image without its label.
    """

    def __init__(self, data_root='data/acdc', split='train', conditions=CONDITIONS, **kwargs):
        unknown = set(conditions) - set(CONDITIONS)
        if unknown:
            raise UserError(f'ACDCDataset: condition {sorted(unknown)[0]!r} is unknown; choose among {", ".join(CONDITIONS)}.')
        self.split, self.conditions = split, tuple(conditions)
        super().__init__(data_root=data_root, data_prefix=dict(img_path='rgb_anon', seg_map_path='gt'), img_suffix='_rgb_anon.png', seg_map_suffix='_gt_labelTrainIds.png', **kwargs)

    def _join_prefix(self):
        self.data_root = data_root(self.data_root)
        super()._join_prefix()

    def load_data_list(self):
        images, labels = Path(self.data_prefix['img_path']), Path(self.data_prefix['seg_map_path'])
        kept = (p for c in self.conditions for p in (images / c / self.split).glob(f'*/*{self.img_suffix}'))
        return list_pairs(self, kept, lambda image: labels / image.relative_to(images).with_name(image.name.removesuffix(self.img_suffix) + self.seg_map_suffix))
