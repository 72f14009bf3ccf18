"""Generalised zero-shot segmentation: which classes are seen and which are not, their data sets, and the labels that training may look at.

Every data set keeps one label space, ids 0 to K-1 in training and test: a subset of classes (mmseg's ``metainfo=dict(classes=seen)``) would
number them anew, and the two would no longer agree.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from mmcv.transforms import BaseTransform
from mmseg.datasets import BaseSegDataset, COCOStuffDataset as _COCOStuffDataset, PascalContextDataset59, PascalVOCDataset

from ..errors import UserError, choice, nearest
from ..registry import DATASETS, TRANSFORMS
from .camvid import CamVidDataset
from .listing import list_pairs, read_list
from .root import Rooted
from .voc import VOCDataset

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
    'camvid': dict(classes=CamVidDataset.METAINFO['classes'], unseen=('Pavement', 'Fence', 'Car')),
}


@dataclass(frozen=True)
class Split:
    """Seen and unseen classes of one label space; ``seen`` and ``unseen`` are given as names or ids and become ascending tuples of ids.

    Args:
        classes: K names in the order of their ids. unseen: what has no label in training. seen: all others by default.

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


# -- labels ----------------------------------------------------------------------------------------------------------------
@TRANSFORMS.register_module()
class MaskUnseenLabels(BaseTransform):
    """Turns the labels of unseen classes into ``ignore_index``, right after ``LoadLabel``. Images that show unseen classes stay in the
    training set, as the protocol has it.

    Args:
        unseen: ids, or the name of one of ``SPLITS``.
        pad_value: of the transductive phase, ``PAD_VALUE``: what the preprocessor of the model pads labels with (``seg_pad_val=200``; it
            notes where, which a ``Pad`` in the pipeline does not), so that ``pseudo_labels`` can tell padding from what is masked here.
            None: padding is ignored like the rest.

    Raises:
        UserError: where no label was loaded; and, with ``pad_value``, where the label was padded before or has a class of that id: padding
            could no longer be told apart.
    """

    def __init__(self, unseen, ignore_index=255, pad_value=None):
        self.unseen = zero_shot_split(unseen).unseen if isinstance(unseen, str) else tuple(unseen)
        wrong = next((i for i in self.unseen if not isinstance(i, int) or not 0 <= i < 255 or i in (ignore_index, pad_value)), None)
        if wrong is not None:
            raise UserError(
                f'MaskUnseenLabels: unseen={wrong!r} is no class id; give ids of the classes that are unseen, or the name of a split '
                f'({", ".join(SPLITS)}).'
            )
        if pad_value is not None and pad_value == ignore_index:
            raise UserError(
                f'MaskUnseenLabels: pad_value={pad_value} is ignore_index too, so padding would be pseudo-labelled; pad labels with '
                f'{PAD_VALUE}.'
            )
        self.ignore_index, self.pad_value = ignore_index, pad_value

    def transform(self, results):
        if 'gt_seg_map' not in results:
            raise UserError('MaskUnseenLabels: no label was loaded yet; put it right after LoadLabel in the pipeline.')
        label = results['gt_seg_map']
        if self.pad_value is not None and (
            'pad_shape' in results and tuple(results['pad_shape'][:2]) != tuple(results['ori_shape'][:2]) or (label == self.pad_value).any()
        ):
            raise UserError(
                f'MaskUnseenLabels: the label of {results.get("img_path", "an image")!r} was padded before, or has a class '
                f'{self.pad_value}; put this transform right after LoadLabel.'
            )
        label = label.copy()
        for i in self.unseen:
            label[label == i] = self.ignore_index
        results['gt_seg_map'] = label
        return results


def pseudo_labels(labels, scores, unseen, ignore_index=255, pad_value=PAD_VALUE):
    """Labels of the transductive phase: ignored pixels become the best of the unseen classes, padding becomes ignored, all others stay.

    Args:
        labels: ``[B, H, W]`` of class ids, ``ignore_index`` (masked or unlabelled) and ``pad_value`` (padding). scores: ``[B, K, H, W]``,
            larger is likelier. unseen: ids.

    Returns a new tensor like ``labels``; no gradient flows into it.
    """
    unseen = torch.as_tensor(unseen, device=labels.device)
    best = unseen[scores.detach()[:, unseen].argmax(1)].to(labels.dtype)
    return torch.where(labels == ignore_index, best, labels).masked_fill(labels == pad_value, ignore_index)


# -- data sets -------------------------------------------------------------------------------------------------------------
def _meta(name, palette):
    return dict(classes=SPLITS[name]['classes'], palette=palette, **zero_shot_split(name).metainfo)


def _checked(dataset, metainfo):
    """``metainfo`` with both groups of classes where it names one. Raises UserError for other classes, or groups that do not share them
    out.
    """
    own, metainfo = dataset.METAINFO['classes'], dict(metainfo or {})
    if 'classes' in metainfo and tuple(metainfo['classes']) != tuple(own):
        raise UserError(
            f'{type(dataset).__name__}: metainfo.classes would number the labels anew; leave all {len(own)} classes, and choose by '
            'metainfo.unseen.'
        )
    if 'seen' in metainfo and 'unseen' not in metainfo:
        raise UserError(f'{type(dataset).__name__}: metainfo.seen without metainfo.unseen; name the unseen classes (the others are seen).')
    return {**metainfo, **(Split(own, metainfo['unseen'], metainfo.get('seen')).metainfo if 'unseen' in metainfo else {})}


@DATASETS.register_module()
class VOC20Dataset(VOCDataset):
    """``VOCDataset`` without background, whose pixels are ignored: label 0 becomes 255, i becomes i-1. ``metainfo`` has ``seen`` and
    ``unseen`` (15/5).

    Raises:
        UserError: also for ``reduce_zero_label=False`` or other classes in ``metainfo``: background leaves once, by one way.
    """

    METAINFO = _meta('voc20', PascalVOCDataset.METAINFO['palette'][1:])

    def __init__(self, split='train', metainfo=None, reduce_zero_label=True, **kwargs):
        if not reduce_zero_label:
            raise UserError(
                'VOC20Dataset: reduce_zero_label=False would make background the first class; leave it out, or take VOCDataset, which has '
                'background.'
            )
        super().__init__(split=split, metainfo=_checked(self, metainfo), reduce_zero_label=True, **kwargs)


@DATASETS.register_module()
class COCOStuffDataset(Rooted, _COCOStuffDataset):
    """COCO-Stuff 164k (Caesar et al., CVPR 2018): 118287 training and 5000 validation images in 171 classes; 255 is ignored. ``metainfo``
    has ``seen`` and ``unseen`` (156/15).

    mmseg's classes and files, below ``VKD_DATA_ROOT`` where that is set: ``images/<split>2017/*.jpg`` and
    ``annotations/<split>2017/*_labelTrainIds.png``.

    Args:
        split: 'train' or 'val'.

    Raises:
        UserError: for an unknown split, a missing or empty root, an image without its label, or other classes in ``metainfo``.
    """

    METAINFO = _meta('coco-stuff', _COCOStuffDataset.METAINFO['palette'])

    splits = ('train', 'val')

    def __init__(self, data_root='data/coco_stuff164k', split='train', metainfo=None, **kwargs):
        self.set_split(split)
        super().__init__(
            data_root=data_root,
            metainfo=_checked(self, metainfo),
            data_prefix=dict(img_path=f'images/{split}2017', seg_map_path=f'annotations/{split}2017'),
            **kwargs,
        )

    def load_data_list(self):
        labels = Path(self.data_prefix['seg_map_path'])
        return list_pairs(
            self,
            Path(self.data_prefix['img_path']).glob(f'*{self.img_suffix}'),
            lambda image: labels / f'{image.stem}{self.seg_map_suffix}',
        )


@DATASETS.register_module()
class PascalContext59Dataset(Rooted, BaseSegDataset):
    """Pascal Context (Mottaghi et al., CVPR 2014) in 59 classes, background ignored: 4996 training and 5104 validation images. ``metainfo``
    has ``seen`` and ``unseen`` (49/10).

    mmseg's classes and files, below ``VKD_DATA_ROOT`` where that is set. ``data_root`` is ``VOCdevkit/VOC2010``: ``JPEGImages``,
    ``SegmentationClassContext`` (0 is background, which becomes 255; i becomes i-1) and ``ImageSets/SegmentationContext/{train,val}.txt``.

    Args:
        split: 'train' or 'val'.

    Raises:
        UserError: for an unknown split, a missing root or list, a listed image without its files, or other classes in ``metainfo``.
    """

    METAINFO = _meta('context59', PascalContextDataset59.METAINFO['palette'])

    splits = ('train', 'val')

    def __init__(self, data_root='data/VOCdevkit/VOC2010', split='train', metainfo=None, **kwargs):
        self.set_split(split)
        super().__init__(
            data_root=data_root,
            metainfo=_checked(self, metainfo),
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassContext'),
            reduce_zero_label=True,
            **kwargs,
        )

    def load_data_list(self):
        labels = Path(self.data_prefix['seg_map_path'])
        images = read_list(self, Path(self.data_root, f'ImageSets/SegmentationContext/{self.split}.txt'), self.data_prefix['img_path'])
        return list_pairs(self, images, lambda image: labels / f'{image.stem}.png')


@DATASETS.register_module()
class ZeroShotCamVidDataset(CamVidDataset):
    """``CamVidDataset`` whose ``metainfo`` has ``seen`` and ``unseen`` (8/3; see ``SPLITS``). Raises UserError also for other classes in
    ``metainfo``.
    """

    METAINFO = _meta('camvid', CamVidDataset.METAINFO['palette'])

    def __init__(self, metainfo=None, **kwargs):
        super().__init__(metainfo=_checked(self, metainfo), **kwargs)
