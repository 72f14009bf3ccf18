"""Generalised zero-shot segmentation: which classes are seen and which are not, their data sets, and the labels that training may look at.

Every data set keeps one label space, ids 0 to K-1 in training and test: a subset of classes (mmseg's ``metainfo=dict(classes=seen)``) would
number them anew, and the two would no longer agree.
"""

from pathlib import Path

from mmcv.transforms import BaseTransform
from mmseg.datasets import BaseSegDataset, PascalContextDataset59, PascalVOCDataset
from mmseg.datasets import COCOStuffDataset as _COCOStuffDataset

from ..errors import UserError
from ..registry import DATASETS, TRANSFORMS
from ..text.zero_shot import PAD_VALUE, SPLITS, Split, zero_shot_split
from .camvid import CamVidDataset
from .listing import list_pairs, read_list
from .root import Rooted
from .voc import VOCDataset


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
