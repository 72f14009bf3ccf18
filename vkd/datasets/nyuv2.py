"""NYU Depth V2 in 40 classes (mmseg's own NYUDataset is for depth)."""

from pathlib import Path

import numpy as np
from mmseg.datasets import BaseSegDataset

from ..errors import UserError
from ..registry import DATASETS
from .listing import list_pairs
from .root import Rooted


def voc_colours(count):
    """Pascal VOC's colours 1 to ``count``, RGB in 0 .. 255: the bits of the index, spread over the channels."""
    index = np.arange(1, count + 1)
    bits = (index[:, None] >> np.arange(8)) & 1
    return [[int(sum(b[3 * k + c] << (7 - k) for k in range(3) if 3 * k + c < 8)) for c in range(3)] for b in bits]


@DATASETS.register_module()
class NYUv2Dataset(Rooted, BaseSegDataset):
    """Indoor scenes (Silberman et al., ECCV 2012) with the 40 classes of Gupta et al., CVPR 2013: 795 training and 654 test images of
    640x480.

    ``data_root`` holds ``images/*.png`` (or ``.jpg``), ``labels40/*.png`` (0: unlabelled, 1 to 40: classes) and ``train.txt`` and
    ``test.txt`` with one stem a line.

    Args:
        split: 'train' or 'test'.

    Raises:
        UserError: for an unknown split, a missing root or list, or a listed image that is not there.
    """

    METAINFO = dict(
        classes=(
            'wall',
            'floor',
            'cabinet',
            'bed',
            'chair',
            'sofa',
            'table',
            'door',
            'window',
            'bookshelf',
            'picture',
            'counter',
            'blinds',
            'desk',
            'shelves',
            'curtain',
            'dresser',
            'pillow',
            'mirror',
            'floor mat',
            'clothes',
            'ceiling',
            'books',
            'refrigerator',
            'television',
            'paper',
            'towel',
            'shower curtain',
            'box',
            'whiteboard',
            'person',
            'night stand',
            'toilet',
            'sink',
            'lamp',
            'bathtub',
            'bag',
            'otherstructure',
            'otherfurniture',
            'otherprop',
        ),
        palette=voc_colours(40),
    )

    splits = ('train', 'test')

    def __init__(self, data_root='data/nyuv2', split='train', **kwargs):
        self.set_split(split)
        super().__init__(
            data_root=data_root, data_prefix=dict(img_path='images', seg_map_path='labels40'), reduce_zero_label=True, **kwargs
        )

    def load_data_list(self):
        images, labels, names = (
            Path(self.data_prefix['img_path']),
            Path(self.data_prefix['seg_map_path']),
            Path(self.data_root, f'{self.split}.txt'),
        )
        if not names.is_file():
            raise UserError(
                f'NYUv2Dataset: the list {str(names)!r} does not exist; write one stem of an image a line, as docs/data.md says.',
                code='no-such-file',
            )
        kept = []
        for stem in names.read_text().split():
            found = [p for p in (images / f'{stem}.png', images / f'{stem}.jpg') if p.is_file()]
            if not found:
                raise UserError(
                    f'NYUv2Dataset: {str(names)!r} lists {stem!r}, but {str(images)!r} has no such .png or .jpg; add it or remove the line.'
                )
            kept.append(found[0])
        return list_pairs(self, kept, lambda image: labels / f'{image.stem}.png')
