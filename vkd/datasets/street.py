"""Street scenes of other worlds in the 19 classes of Cityscapes: sources and targets of domain generalisation."""

from pathlib import Path

import numpy as np
from mmengine.utils import track_iter_progress
from PIL import Image

from ..errors import UserError, choice, nearest
from ..io.files import write_whole
from ..registry import DATASETS
from .cityscapes import CityscapesDataset
from .listing import list_pairs
from .root import data_root as resolve_root

_TRAIN_IDS = '_labelTrainIds.png'
#: folders of images and labels, endings of both, and the beginnings that differ; ``{split}`` is replaced, by the data set's own word for it
LAYOUTS = dict(
    gtav=dict(images='images', labels='labels', image='.png', label=_TRAIN_IDS),
    synthia=dict(images='RGB', labels='GT/LABELS', image='.png', label=_TRAIN_IDS),
    urbansyn=dict(images='rgb', labels='ss', image='.png', label='.png', begins=('rgb_', 'ss_')),
    bdd100k=dict(
        images='images/10k/{split}',
        labels='labels/sem_seg/masks/{split}',
        image='.jpg',
        label='.png',
        splits=dict(train='train', val='val'),
    ),
    mapillary=dict(
        images='{split}/images',
        labels='{split}/v1.2/labels',
        image='.jpg',
        label=_TRAIN_IDS,
        splits=dict(train='training', val='validation'),
    ),
)

#: of the raw ids of each data set, the class of Cityscapes; what is not named is ignored
_CITYSCAPES = dict(zip((7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33), range(19), strict=True))
RAW_IDS = dict(
    gtav=_CITYSCAPES,
    synthia={
        3: 0,
        4: 1,
        2: 2,
        21: 3,
        5: 4,
        7: 5,
        15: 6,
        9: 7,
        6: 8,
        16: 9,
        1: 10,
        10: 11,
        17: 12,
        8: 13,
        18: 14,
        19: 15,
        20: 16,
        12: 17,
        11: 18,
    },
    # Vistas 1.2, by the names that the protocol's converter goes by (Rein): bike and service lanes, parking and markings are road, curbs
    # and pedestrian areas sidewalk, all signs traffic signs
    mapillary={
        **dict.fromkeys((7, 8, 10, 13, 14, 23, 24), 0),
        **dict.fromkeys((2, 9, 11, 15), 1),
        17: 2,
        6: 3,
        3: 4,
        **dict.fromkeys((44, 45, 47), 5),
        48: 6,
        **dict.fromkeys((46, 49, 50), 7),
        30: 8,
        29: 9,
        27: 10,
        19: 11,
        **dict.fromkeys((20, 21, 22), 12),
        55: 13,
        61: 14,
        54: 15,
        58: 16,
        57: 17,
        52: 18,
    },
)


def layout_of(name):
    """The entry of LAYOUTS. Raises UserError for an unknown name."""
    return LAYOUTS[choice('StreetDataset', 'name', name, LAYOUTS)]


def _folders(name, split):
    layout = layout_of(name)
    splits = layout.get('splits', {'train': ''})
    if split not in splits:
        raise UserError(f'StreetDataset: {name} has no split {split!r}; choose among {", ".join(splits)}.')
    return layout, *(layout[k].format(split=splits[split]) for k in ('images', 'labels'))


@DATASETS.register_module()
class StreetDataset(CityscapesDataset):
    """GTAV, SYNTHIA (RAND_CITYSCAPES), UrbanSyn, BDD100K (10k) and Mapillary Vistas 1.2, laid out as they are distributed; docs/data.md
    shows the folders.

    Labels of GTAV, SYNTHIA and Vistas are read as ``*_labelTrainIds.png``, which ``vkd convert train-ids`` writes beside the raw
    ones. 255 is ignored, and so is 19 in UrbanSyn.

    Args:
        name: 'gtav', 'synthia', 'urbansyn', 'bdd100k' or 'mapillary'.
        split: 'train', or of the last two 'val'.

    Raises:
        UserError: for an unknown name or split, a missing or empty root, or an image without its label.
    """

    def __init__(self, name, data_root=None, split='train', **kwargs):
        self.name = name
        self.layout, images, labels = _folders(name, split)
        super().__init__(
            data_root=data_root or f'data/{name}',
            split=split,
            data_prefix=dict(img_path=images, seg_map_path=labels),
            img_suffix=self.layout['image'],
            seg_map_suffix=self.layout['label'],
            **kwargs,
        )

    def load_data_list(self):
        images, labels = Path(self.data_prefix['img_path']), Path(self.data_prefix['seg_map_path'])
        ours, theirs = self.layout.get('begins', ('', ''))
        out = list_pairs(
            self,
            images.glob(f'{ours}*{self.img_suffix}'),
            lambda image: labels / (theirs + image.stem.removeprefix(ours) + self.seg_map_suffix),
        )
        return [dict(item, label_map={19: 255}) for item in out] if self.name == 'urbansyn' else out


def to_train_ids(label, ids):
    """A label of raw ids, ``[H, W]`` or ``[H, W, C]`` whose first channel counts, as uint8 of the classes ``ids[raw]``; 255 where ``ids``
    names none.
    """
    label = np.asarray(label)
    label = label[..., 0] if label.ndim == 3 else label
    table = np.full(max(int(label.max()), *ids) + 1, 255, np.uint8)
    for raw, own in ids.items():
        table[raw] = own
    return table[label]


def write_train_ids(name, root=None, split='train', progress=True):
    """Writes ``<stem>_labelTrainIds.png`` beside each raw label of a data set; those that exist are left. Returns how many were written.

    Raises UserError for a data set without raw ids, a missing folder, or a label that cannot be read.
    """
    if name not in RAW_IDS:
        raise UserError(f'{name!r} has no labels to convert; {nearest(name, RAW_IDS)}.')
    folder = Path(resolve_root(root or f'data/{name}'), _folders(name, split)[2])
    raw = sorted(p for p in folder.glob('*.png') if not p.name.endswith(_TRAIN_IDS))
    if not raw:
        raise UserError(f'Folder {str(folder)!r} holds no raw label (*.png); lay the data out as docs/data.md says.')
    todo = [p for p in raw if not p.with_name(p.stem + _TRAIN_IDS).is_file()]
    for path in track_iter_progress(todo) if progress and todo else todo:
        try:
            label = _read_raw(path)
        except Exception as error:  # Pillow and cv2 raise their own kinds
            raise UserError(
                f'Label {str(path)!r} cannot be read ({type(error).__name__}); replace the file.', code='broken-file'
            ) from error
        image = Image.fromarray(to_train_ids(label, RAW_IDS[name]))
        write_whole(path.with_name(path.stem + _TRAIN_IDS), lambda file, image=image: image.save(file, 'PNG'))
    return len(todo)


def _read_raw(path):
    """Ids as stored: palette indices, or the first channel of 16 bits (in SYNTHIA's files the red one)."""
    import cv2

    with Image.open(path) as image:
        if image.mode in ('P', 'L', 'I', 'I;16'):
            return np.array(image)
    label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)  # Pillow would cut 16-bit colours to 8 bits
    if label is None:
        raise OSError(f'{path} is no image')
    return label[..., ::-1]
