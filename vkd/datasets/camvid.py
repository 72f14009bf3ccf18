"""CamVid in the 11 classes of the SegNet split."""

from pathlib import Path

from mmseg.datasets import BaseSegDataset

from ..registry import DATASETS
from ..text.zero_shot import CAMVID
from .listing import list_pairs
from .root import Rooted


@DATASETS.register_module()
class CamVidDataset(Rooted, BaseSegDataset):
    """Cambridge-driving Labeled Video Database (Brostow et al., 2009): 367, 101 and 233 images of 480x360.

    ``data_root`` holds ``images/{train,val,test}/*.jpg`` (or ``.png``) and ``labels/{train,val,test}/*.png`` with class indices; 11
    (unlabelled) is read as 255 (ignored).

    Args:
        split: 'train', 'val' or 'test'.
        sequences: prefixes of file names to keep, such as ``('Seq05VD',)`` for the test set's day sequence; None keeps all.

    Raises:
        UserError: for an unknown split, a missing or empty root, or an image without its label.
    """

    METAINFO = dict(
        classes=CAMVID,
        palette=[
            [128, 128, 128],
            [128, 0, 0],
            [192, 192, 128],
            [128, 64, 128],
            [60, 40, 222],
            [128, 128, 0],
            [192, 128, 128],
            [64, 64, 128],
            [64, 0, 128],
            [64, 64, 0],
            [0, 128, 192],
        ],
    )

    splits = ('train', 'val', 'test')

    def __init__(self, data_root='data/camvid', split='train', sequences=None, **kwargs):
        self.set_split(split)
        self.sequences = tuple(sequences) if sequences else None
        super().__init__(data_root=data_root, data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'labels/{split}'), **kwargs)

    @classmethod
    def get_label_map(cls, new_classes=None):
        return {**(super().get_label_map(new_classes) or {}), 11: 255}

    def load_data_list(self):
        images, labels = Path(self.data_prefix['img_path']), Path(self.data_prefix['seg_map_path'])
        kept = (
            p for p in images.glob('*') if p.suffix in ('.jpg', '.png') and (self.sequences is None or p.name.startswith(self.sequences))
        )
        return list_pairs(self, kept, lambda image: labels / f'{image.stem}.png')
