"""Zero-shot splits: which classes of a data set have labels in training, and which are found by their names alone."""

from dataclasses import dataclass
from pathlib import Path

import torch
from mmseg.datasets import COCOStuffDataset as _COCOStuffDataset
from mmseg.datasets import PascalContextDataset59, PascalVOCDataset

from ..errors import UserError, choice, nearest

#: CamVid's eleven classes, in the order of their ids
CAMVID = ('Sky', 'Building', 'Pole', 'Road', 'Pavement', 'Tree', 'SignSymbol', 'Fence', 'Car', 'Pedestrian', 'Bicyclist')
#: What padding of labels is in the transductive phase (ZegCLIP's number): 255 there means "may be pseudo-labelled", which padding must
#: never be.
PAD_VALUE = 200

#: ``{name: dict(classes, unseen)}``, both as names.
#:
#: - voc20: 15/5 without background, the last five (ZegCLIP, DeOP and their predecessors).
#: - coco-stuff: 156/15 (the same).
#: - context59: 49/10 (OTSeg).
#: - camvid: 8/3, ours. Car and Pavement are large (4.0 and 9.3 % of the test pixels; Car is a thing, Pavement a stuff that lies beside
#: Road, seen, so that a network cannot win by guessing what is left over); Fence is
#:   small (1.2 %). All three have a published text row of their very name, which Bicyclist, the other small one, has not: its row is
#: 'bicycle', and a mean with 'person' would lie on the seen Pedestrian's.
SPLITS = {
    'voc20': dict(classes=PascalVOCDataset.METAINFO['classes'][1:], unseen=('pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor')),
    'coco-stuff': dict(
        classes=_COCOStuffDataset.METAINFO['classes'],
        unseen=(
            'cow',
            'giraffe',
            'suitcase',
            'frisbee',
            'skateboard',
            'carrot',
            'scissors',
            'cardboard',
            'clouds',
            'grass',
            'playingfield',
            'river',
            'road',
            'tree',
            'wall-concrete',
        ),
    ),
    'context59': dict(
        classes=PascalContextDataset59.METAINFO['classes'],
        unseen=('cow', 'motorbike', 'sofa', 'cat', 'boat', 'fence', 'bird', 'tvmonitor', 'keyboard', 'aeroplane'),
    ),
    'camvid': dict(classes=CAMVID, unseen=('Pavement', 'Fence', 'Car')),
}


@dataclass(frozen=True)
class Split:
    """Seen and unseen classes of one label space; ``seen`` and ``unseen`` are given as names or ids and become ascending tuples of ids.

    Args:
        classes: K names in the order of their ids.
        unseen: what has no label in training.
        seen: all others by default.

    Raises:
        UserError: for a name or id that does not exist, a class in both groups, or one in none.
    """

    classes: tuple
    unseen: tuple
    seen: tuple = None

    def __post_init__(self):
        classes = tuple(self.classes)
        unseen = _ids(classes, self.unseen, 'unseen')
        seen = tuple(i for i in range(len(classes)) if i not in unseen) if self.seen is None else _ids(classes, self.seen, 'seen')
        both, none = set(seen) & set(unseen), set(range(len(classes))) - set(seen) - set(unseen)
        if both:
            raise UserError(f'Split: class {classes[min(both)]!r} is both seen and unseen; leave it in one of the two.')
        if none:
            raise UserError(f'Split: class {classes[min(none)]!r} is neither seen nor unseen; put it into one of the two.')
        for key, value in dict(classes=classes, seen=seen, unseen=unseen).items():
            object.__setattr__(self, key, value)

    @property
    def metainfo(self):
        """``dict(seen, unseen)`` of ids, as a data set's ``metainfo`` carries it."""
        return dict(seen=self.seen, unseen=self.unseen)


def _ids(classes, group, what):
    out = []
    for c in group:
        if isinstance(c, str) and c not in classes:
            raise UserError(f'Split: {what} class {c!r} is none of the {len(classes)} classes; {nearest(c, classes)}.')
        i = classes.index(c) if isinstance(c, str) else c
        if not isinstance(i, int) or not 0 <= i < len(classes):
            raise UserError(f'Split: {what} class {c!r} does not exist; give names, or ids of 0 to {len(classes) - 1}.')
        if i in out:
            raise UserError(f'Split: {what} class {classes[i]!r} is named twice; name it once.')
        out.append(i)
    return tuple(sorted(out))


def zero_shot_split(name):
    """The ``Split`` of ``SPLITS`` by its name. Raises UserError."""
    return Split(**SPLITS[choice('Zero-shot classes', 'split', name, SPLITS)])


def class_names(text):
    """A list of class names as a command line gives it: a name of ``SPLITS``, a text file of one name a line, or names with commas between
    ('sofa,' for one). Raises UserError.
    """
    if text in SPLITS:
        return SPLITS[text]['classes']
    if ',' not in text and not Path(text).is_file():
        raise UserError(
            f'Class list {text!r} is neither known ({", ".join(SPLITS)}) nor a file that exists; write names with commas between '
            f'("{text}," for one class).'
        )
    names = tuple(n.strip() for n in (text.split(',') if ',' in text else Path(text).read_text(encoding='utf-8').splitlines()) if n.strip())
    if not names:
        raise UserError(f'Class list {text!r} holds no name; write one a line, or with commas between.')
    return names


# -- labels of classes without any ----------------------------------------------------------------------------------------
def pseudo_labels(labels, scores, unseen, ignore_index=255, pad_value=PAD_VALUE):
    """Labels of the transductive phase: ignored pixels become the best of the unseen classes, padding becomes ignored, all others stay.

    Args:
        labels: ``[B, H, W]`` of class ids, ``ignore_index`` (masked or unlabelled) and ``pad_value`` (padding).
        scores: ``[B, K, H, W]``, larger is likelier.
        unseen: ids.

    Returns a new tensor like ``labels``; no gradient flows into it.
    """
    unseen = torch.as_tensor(unseen, device=labels.device)
    best = unseen[scores.detach()[:, unseen].argmax(1)].to(labels.dtype)
    return torch.where(labels == ignore_index, best, labels).masked_fill(labels == pad_value, ignore_index)
