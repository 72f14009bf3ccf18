import numpy as np
import pytest
import torch
from helpers.errors import fails
from helpers.predictions import pairs, sample
from mmseg.evaluation.metrics import IoUMetric

from vkd import UserError
from vkd.evaluation import SegMetric
from vkd.evaluation.segmentation import confusion_counts, seg_scores

CLASSES = tuple('abcdef')


def both(items, classes):
    ours, theirs = SegMetric(), IoUMetric()
    for metric in (ours, theirs):
        metric.dataset_meta = dict(classes=classes)
        for pred, label in items:
            metric.process({}, [sample(pred, label)])
    return ours.evaluate(len(items)), theirs.evaluate(len(items)), ours


def test_counts_by_hand():
    pred, label = torch.tensor([[0, 1, 1], [2, 2, 0]]), torch.tensor([[0, 1, 0], [2, 255, 1]])
    counts = confusion_counts(pred, label, 3)
    assert counts.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    scores = seg_scores(counts)
    assert (
        scores['IoU'].tolist() == pytest.approx([100 / 3, 100 / 3, 100])
        and scores['aAcc'] == pytest.approx(60)
        and scores['mAcc'] == pytest.approx(200 / 3)
    )


def test_mmsegs_numbers_exactly():
    ours, theirs, metric = both(pairs(), CLASSES)
    assert {k: ours[k] for k in ('aAcc', 'mIoU', 'mAcc')} == {k: round(float(theirs[k]), 2) for k in ('aAcc', 'mIoU', 'mAcc')}
    assert metric.report['images'] == 5 and len(metric.report['IoU']) == 6 and round(metric.report['mIoU'], 2) == ours['mIoU']
    areas = [IoUMetric.intersect_and_union(p, y, 6, 255) for p, y in pairs()]
    union, hit = (torch.stack([a[k] for a in areas]).double().sum(0) for k in (1, 0))
    assert metric.report['IoU'] == pytest.approx((100 * hit / union).tolist(), abs=1e-4) and [ours[f'IoU.{c}'] for c in CLASSES] == [
        round(x, 2) for x in (100 * hit / union).tolist()
    ]


def test_predictions_of_a_network():
    """A trained student's on drawn scenes, in a run, against mmseg's metric on the same samples."""
    from helpers.networks import build, segmentor
    from mmengine.dataset import pseudo_collate

    from vkd.datasets import DemoDataset

    data = DemoDataset(split='test', length=4, size=(64, 96), pipeline=[dict(type='vkd.DrawScene'), dict(type='mmseg.PackSegInputs')])
    model, ours, theirs = build(segmentor(8)).eval(), SegMetric(), IoUMetric()
    wrapper = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(15):
        loss, _ = model.parse_losses(model(**model.data_preprocessor(pseudo_collate([data[i] for i in range(4)]), True), mode='loss'))
        wrapper.zero_grad(), loss.backward(), wrapper.step()
    for metric in (ours, theirs):
        metric.dataset_meta = data.metainfo
    for i in range(4):
        with torch.no_grad():
            found = [s.to_dict() for s in model.test_step(pseudo_collate([data[i]]))]
        ours.process({}, found), theirs.process({}, found)
    a, b = ours.evaluate(4), theirs.evaluate(4)
    assert {k: a[k] for k in ('aAcc', 'mIoU', 'mAcc')} == {k: round(float(b[k]), 2) for k in ('aAcc', 'mIoU', 'mAcc')} and a['mIoU'] > 5


def test_a_class_that_never_occurs():
    ours, theirs, metric = both([(p.clamp(max=4), torch.where(l == 5, 255, l)) for p, l in pairs()], CLASSES)
    assert ours['mIoU'] == round(float(theirs['mIoU']), 2) and metric.report['IoU'][5] is None


def test_real_labels(camvid):
    from vkd.datasets import CamVidDataset

    data = CamVidDataset(data_root=camvid, split='val', pipeline=[dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel')])
    labels = [torch.from_numpy(data[i]['gt_seg_map'].astype(np.int64)) for i in range(0, 100, 25)]
    ours, theirs, _ = both(pairs(4, 11, labels=labels), data.metainfo['classes'])
    assert {k: ours[k] for k in ('aAcc', 'mIoU', 'mAcc')} == {k: round(float(theirs[k]), 2) for k in ('aAcc', 'mIoU', 'mAcc')}


def test_bad_input():
    metric = SegMetric()
    metric.dataset_meta = dict(classes=CLASSES)
    with pytest.raises(UserError, match='class 7, but there are 6'):
        metric.process({}, [sample(torch.zeros(2, 2, dtype=torch.long), torch.full((2, 2), 7))])
    with pytest.raises(UserError, match='differ in size'):
        metric.process({}, [sample(torch.zeros(2, 2, dtype=torch.long), torch.zeros(2, 3, dtype=torch.long))])
    metric.process({}, [sample(torch.zeros(2, 2, dtype=torch.long), torch.zeros(2, 2, dtype=torch.long))])
    with fails('incomplete-set', '1 images of a set of 2'):
        metric.evaluate(2)


def test_the_whole_list_of_counts_survives_uint8_labels():
    pred, label = torch.tensor([[10, 3]]), torch.tensor([[10, 255]], dtype=torch.uint8)
    assert confusion_counts(pred, label, 11).sum() == 1 and confusion_counts(pred, label, 11)[10, 10] == 1
