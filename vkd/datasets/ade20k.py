"""ADE20K, as the scene parsing benchmark distributes it."""

from pathlib import Path

from mmseg.datasets import ADE20KDataset as _ADE20KDataset

from ..registry import DATASETS
from .listing import list_pairs
from .root import Rooted


@DATASETS.register_module()
class ADE20KDataset(Rooted, _ADE20KDataset):
    """Zhou et al., CVPR 2017: 20,210 training and 2,000 validation images in 150 classes; label 0 is not a class and is ignored.

    mmseg's data set, below ``VKD_DATA_ROOT`` where that is set, with errors that name the file. ``data_root`` is ``ADEChallengeData2016``
    as it is distributed: ``images/<split>/*.jpg`` and ``annotations/<split>/*.png``.

    Args:
        split: 'training' or 'validation'.

    Raises:
        UserError: for an unknown split, a missing or empty root, or an image without its label.
    """

    splits = ('training', 'validation')

    def __init__(self, data_root='data/ade/ADEChallengeData2016', split='training', **kwargs):
        self.set_split(split)
        super().__init__(
            **{**dict(data_root=data_root, data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'annotations/{split}')), **kwargs}
        )

    def load_data_list(self):
        labels = Path(self.data_prefix['seg_map_path'])
        return list_pairs(self, Path(self.data_prefix['img_path']).glob('*.jpg'), lambda image: labels / f'{image.stem}.png')
