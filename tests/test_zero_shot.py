"""Generalised zero-shot segmentation: splits, labels that training may see, data sets, scores."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import ROOT
from helpers.errors import fails
from helpers.predictions import pairs, sample
from helpers.run_folders import signed, write
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmseg.datasets import COCOStuffDataset as MMCOCOStuff
from mmseg.registry import DATASETS, MODELS, TRANSFORMS
from PIL import Image

from vkd import UserError
from vkd.datasets import (
    CamVidDataset,
    COCOStuffDataset,
    MaskUnseenLabels,
    PascalContext59Dataset,
    VOC20Dataset,
    VOCDataset,
    ZeroShotCamVidDataset,
)
from vkd.evaluation import SegMetric, ZeroShotIoUMetric
from vkd.evaluation.segmentation import confusion_counts
from vkd.evaluation.zero_shot import harmonic_mean, zero_shot_scores
from vkd.io.files import read_json, write_json
from vkd.leaderboard import build
from vkd.text.embeddings import save_text_embeddings, synthetic_embeddings, synthetic_text
from vkd.text.zero_shot import PAD_VALUE, SPLITS, Split, pseudo_labels, zero_shot_split


@pytest.fixture
def mmseg_scope():
    """As in a run: names in a pipeline are mmseg's."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


LOAD = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel')]


# -- splits ----------------------------------------------------------------------------------------------------------------
def test_the_published_splits():
    ids = {name: zero_shot_split(name) for name in SPLITS}
    assert {name: (len(s.seen), len(s.unseen)) for name, s in ids.items()} == {
        'voc20': (15, 5),
        'coco-stuff': (156, 15),
        'context59': (49, 10),
        'camvid': (8, 3),
    }
    assert ids['voc20'].unseen == (15, 16, 17, 18, 19) and ids['coco-stuff'].unseen == (
        19,
        23,
        28,
        29,
        36,
        51,
        76,
        88,
        94,
        112,
        133,
        136,
        137,
        157,
        160,
    )
    assert sorted((19, 33, 48, 14, 7, 24, 6, 54, 31, 0)) == list(ids['context59'].unseen) and [
        ids['camvid'].classes[i] for i in ids['camvid'].unseen
    ] == ['Pavement', 'Fence', 'Car']
    assert 'background' not in ids['voc20'].classes + ids['context59'].classes and len(ids['coco-stuff'].classes) == 171


@pytest.mark.parametrize(
    'given, told',
    [
        (dict(unseen=('b',), seen=('a', 'b', 'c')), "'b' is both seen and unseen"),
        (dict(unseen=(1,), seen=(0,)), "'c' is neither seen nor unseen"),
        (dict(unseen=('bb',)), "'bb' is none of the 3 classes"),
        (dict(unseen=(3,)), 'unseen class 3 does not exist'),
        (dict(unseen=(-1,)), 'class -1 does not exist'),
        (dict(unseen=(1, 'b')), "'b' is named twice"),
        (dict(unseen=(), seen=(0, 5, 1, 2)), 'seen class 5'),
    ],
)
def test_splits_that_do_not_share_out_the_classes(given, told):
    with pytest.raises(UserError) as error:
        Split('abc', **given)
    assert told in str(error.value) and '\n' not in str(error.value)


def test_a_split_by_names_or_ids():
    assert (
        Split('abc', ('c', 'a')) == Split('abc', (0, 2), ('b',))
        and Split('abc', ('c', 'a')).metainfo == dict(seen=(1,), unseen=(0, 2))
        and Split('abc', ()).seen == (0, 1, 2)
    )
    with fails('unknown-choice', "nearest: 'voc20'"):
        zero_shot_split('voc')


# -- labels ----------------------------------------------------------------------------------------------------------------
def test_unseen_labels_are_masked_and_nothing_else():
    label = np.arange(256, dtype=np.uint8).reshape(16, 16)
    out = MaskUnseenLabels('voc20').transform(dict(gt_seg_map=label.copy(), ori_shape=(16, 16)))['gt_seg_map']
    assert np.array_equal(out, np.where((label >= 15) & (label <= 19), 255, label)) and out.dtype == np.uint8
    kept = label.copy()
    MaskUnseenLabels([3]).transform(dict(gt_seg_map=kept))
    assert np.array_equal(kept, label)  # a label that a cache shares stays whole
    assert isinstance(TRANSFORMS.build(dict(type='vkd.MaskUnseenLabels', unseen=[1])), MaskUnseenLabels)


@pytest.mark.parametrize(
    'given, told',
    [
        (dict(unseen=['Car']), "unseen='Car' is no class id"),
        (dict(unseen=[255]), 'unseen=255'),
        (dict(unseen=[200], pad_value=200), 'unseen=200'),
        (dict(unseen='camvit'), 'unknown'),
        (dict(unseen=[1], pad_value=255), 'padding would be pseudo-labelled'),
    ],
)
def test_masks_that_make_no_sense(given, told):
    with pytest.raises(UserError, match=re.escape(told)):
        MaskUnseenLabels(**given)


def test_the_mask_stands_right_after_loading():
    label = np.zeros((4, 4), np.uint8)
    with pytest.raises(UserError, match='right after LoadLabel'):
        MaskUnseenLabels([1]).transform({})
    mask = MaskUnseenLabels([1], pad_value=PAD_VALUE)
    with pytest.raises(UserError, match='was padded before'):
        mask.transform(dict(gt_seg_map=label, ori_shape=(3, 4), pad_shape=(4, 4)))
    with pytest.raises(UserError, match='or has a class 200'):
        mask.transform(dict(gt_seg_map=label + 200, ori_shape=(4, 4)))
    assert (mask.transform(dict(gt_seg_map=label + 1, ori_shape=(4, 4)))['gt_seg_map'] == 255).all()


def test_padding_is_never_pseudo_labelled():
    labels = torch.tensor([[[0, 255, 200], [1, 200, 255]]])
    scores = torch.zeros(1, 4, 2, 3, requires_grad=True)
    with torch.no_grad():
        scores[:, 0] = 9.0  # a seen class is likeliest everywhere
        scores[0, 3, 0] = 5.0
        scores[0, 2, 1] = 5.0
    out = pseudo_labels(labels, scores, (2, 3))
    assert out.tolist() == [[[0, 3, 255], [1, 255, 2]]] and not out.requires_grad and labels[0, 0, 1] == 255


def test_the_transductive_pipeline_tells_padding_apart(voc, mmseg_scope):
    """Through pipeline and preprocessor of the config: 200 where it was padded, 255 where a class was masked, nothing of an unseen class
    anywhere.
    """
    cfg = Config.fromfile(ROOT / 'configs/chimeraseg/chimeraseg_segnext-b-csh_clip-b16_st10k_voc20-zs-512x512.py')
    steps = [
        dict(s, scale=(64, 48), ratio_range=(0.5, 0.5)) if s.type == 'RandomResize' else s for s in cfg.train_dataloader.dataset.pipeline
    ]
    data = VOC20Dataset(data_root=voc, split='train', pipeline=steps)
    np.random.seed(0)
    import mmseg.models  # noqa: F401  (registers)

    preprocessor = MODELS.build(dict(cfg.model.student.data_preprocessor, size=(64, 64)))
    label = preprocessor(pseudo_collate([data[0]]), True)['data_samples'][0].gt_sem_seg.data[0]
    h, w = (label != 200).any(1).sum(), (label != 200).any(0).sum()
    inside = label[:h, :w]
    assert (
        label.shape == (64, 64)
        and (inside != 200).all()
        and (label == 200).sum() == 64 * 64 - h * w > 0
        and (inside == 255).any()
        and not torch.isin(label, torch.arange(15, 20)).any()
    )
    filled = pseudo_labels(label[None], torch.randn(1, 20, 64, 64), range(15, 20))[0]
    assert (filled[label == 200] == 255).all() and (filled[label == 255] >= 15).all()


# -- data sets -------------------------------------------------------------------------------------------------------------
def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


@pytest.fixture
def voc(tmp_path):
    """One image of VOC whose label holds every value, 0 (background) to 20 and 255."""
    root = tmp_path / 'VOC2012'
    save(root / 'JPEGImages/a.jpg', np.zeros((24, 48, 3)))
    save(root / 'SegmentationClass/a.png', np.resize([*range(21), 255], (24, 48)))
    (root / 'ImageSets/Segmentation').mkdir(parents=True)
    (root / 'ImageSets/Segmentation/train.txt').write_text('a\n')
    return str(root)


def test_voc_without_background(voc):
    stored = np.resize([*range(21), 255], (24, 48))
    item, whole = VOC20Dataset(data_root=voc, pipeline=LOAD), VOCDataset(data_root=voc, pipeline=LOAD)
    label = item[0]['gt_seg_map']
    assert np.array_equal(label, np.where((stored == 0) | (stored == 255), 255, stored.astype(int) - 1)) and np.array_equal(
        whole[0]['gt_seg_map'], stored
    )
    assert (
        len(item.metainfo['classes']) == len(item.metainfo['palette']) == 20
        and item.metainfo['unseen'] == (15, 16, 17, 18, 19)
        and item.metainfo['palette'] == whole.metainfo['palette'][1:]
    )


def test_background_leaves_once(voc):
    """mmseg's own two ways, taken together, would shift the labels twice."""
    with pytest.raises(UserError, match='reduce_zero_label=False would make background the first class'):
        VOC20Dataset(data_root=voc, reduce_zero_label=False)
    with pytest.raises(UserError, match='would number the labels anew'):
        VOC20Dataset(data_root=voc, metainfo=dict(classes=SPLITS['voc20']['classes'][:15]))


def test_other_splits_in_a_config(voc):
    data = DATASETS.build(dict(type='vkd.VOC20Dataset', data_root=voc, metainfo=dict(unseen=['cat', 0]), pipeline=LOAD))
    assert data.metainfo['unseen'] == (0, 7) and len(data.metainfo['seen']) == 18 and data.metainfo['classes'] == SPLITS['voc20']['classes']
    for wrong, told in (
        (dict(unseen=['kat']), "'kat' is none"),
        (dict(unseen=[0], seen=[0]), 'both'),
        (dict(unseen=[0], seen=[1]), 'neither'),
        (dict(seen=[0]), 'without metainfo.unseen'),
    ):
        with pytest.raises(UserError, match=told):
            VOC20Dataset(data_root=voc, metainfo=wrong)


def test_coco_stuff(tmp_path):
    for split in ('train', 'val'):
        save(tmp_path / f'images/{split}2017/1.jpg', np.zeros((12, 171, 3)))
        save(tmp_path / f'annotations/{split}2017/1_labelTrainIds.png', [np.arange(171)] * 11 + [[255] * 171])
    data = COCOStuffDataset(data_root=str(tmp_path), split='val', pipeline=LOAD)
    assert len(data) == 1 and data.metainfo['classes'] == MMCOCOStuff.METAINFO['classes'] and len(data.metainfo['unseen']) == 15
    assert data[0]['gt_seg_map'][0].tolist() == list(range(171)) and (data[0]['gt_seg_map'][11] == 255).all()
    (tmp_path / 'annotations/train2017/1_labelTrainIds.png').unlink()
    for call, told in (
        (dict(), 'has no label.*1_labelTrainIds.png'),
        (dict(split='test'), "'test' is unknown"),
        (dict(data_root=str(tmp_path / 'no')), 'does not exist'),
        (dict(metainfo=dict(classes=('person',))), 'number the labels anew'),
    ):
        with pytest.raises(UserError, match=told):
            COCOStuffDataset(**{**dict(data_root=str(tmp_path)), **call})


def test_context_without_background(tmp_path):
    stored = np.resize(range(60), (12, 60))
    save(tmp_path / 'JPEGImages/a.jpg', np.zeros((12, 60, 3)))
    save(tmp_path / 'SegmentationClassContext/a.png', stored)
    (tmp_path / 'ImageSets/SegmentationContext').mkdir(parents=True)
    (tmp_path / 'ImageSets/SegmentationContext/train.txt').write_text('a')
    data = PascalContext59Dataset(data_root=str(tmp_path), pipeline=LOAD)
    assert np.array_equal(data[0]['gt_seg_map'], np.where(stored == 0, 255, stored - 1)) and len(data.metainfo['seen']) == 49
    (tmp_path / 'ImageSets/SegmentationContext/val.txt').write_text('b')
    for call, told in (
        (dict(split='val'), "PascalContext59Dataset: .*lists 'b'"),
        (dict(split='x'), "'x' is unknown"),
        (dict(data_root=str(tmp_path / 'no')), 'does not exist'),
    ):
        with pytest.raises(UserError, match=told):
            PascalContext59Dataset(**{**dict(data_root=str(tmp_path)), **call})


@pytest.mark.parametrize(
    'name, unseen',
    [
        ('voc20-zs', range(15, 20)),
        ('coco-stuff-zs', zero_shot_split('coco-stuff').unseen),
        ('context59-zs', zero_shot_split('context59').unseen),
        ('camvid-zs-240x320', (4, 7, 8)),
    ],
)
def test_data_configs_mask_in_training_only(name, unseen):
    """Of each config: the data set's own unseen classes are masked right after the label in training, and nowhere else; all classes are
    scored.
    """
    for file in (ROOT / 'configs/_base_/datasets').glob(f'{name}*.py'):
        cfg = Config.fromfile(file)
        kinds = [s['type'] for s in cfg.train_dataloader.dataset.pipeline]
        mask = TRANSFORMS.build(cfg.train_dataloader.dataset.pipeline[kinds.index('vkd.LoadLabel') + 1])
        assert (
            isinstance(mask, MaskUnseenLabels)
            and mask.unseen == tuple(unseen) == DATASETS.get(cfg.train_dataloader.dataset.type).METAINFO['unseen']
        )
        assert (
            not any('Mask' in s['type'] for d in (cfg.val_dataloader, cfg.test_dataloader) for s in d.dataset.pipeline)
            and cfg.test_evaluator.type == cfg.val_evaluator.type == 'vkd.ZeroShotIoUMetric'
        )
        # the preprocessor pads, and notes where
        assert mask.pad_value == (PAD_VALUE if 'transductive' in file.name else None) and 'Pad' not in kinds


def test_the_real_camvid_hides_what_is_unseen(camvid, mmseg_scope):
    cfg = Config.fromfile(ROOT / 'configs/_base_/datasets/camvid-zs-240x320.py')
    data, plain = DATASETS.build(cfg.train_dataloader.dataset), CamVidDataset(data_root=camvid, split='train', pipeline=LOAD)
    shown, stored, masked = (
        set(),
        set(),
        ZeroShotCamVidDataset(data_root=camvid, split='train', pipeline=[*LOAD, dict(type='vkd.MaskUnseenLabels', unseen='camvid')]),
    )
    for i in range(0, len(data), 40):
        shown |= set(data[i]['data_samples'].gt_sem_seg.data.unique().tolist())
        whole, hidden = plain[i]['gt_seg_map'], masked[i]['gt_seg_map']
        stored |= set(np.unique(whole).tolist())
        assert np.array_equal(hidden, np.where(np.isin(whole, (4, 7, 8)), 255, whole))
    assert {4, 7, 8} <= stored and not {4, 7, 8} & shown and len(data) == 367
    test = DATASETS.build(cfg.test_dataloader.dataset)
    labels = set(np.concatenate([test[i]['data_samples'].gt_sem_seg.data.unique() for i in range(0, 233, 40)]).tolist())
    assert {4, 7, 8} <= labels and test.metainfo['unseen'] == (4, 7, 8)


# -- scores ----------------------------------------------------------------------------------------------------------------
def test_the_harmonic_mean():
    for s, u, h in ((91.9, 77.8, 84.2642), (92.8, 84.4, 88.4009), (88.2, 74.6, 80.8319), (80, 0, 0), (0, 0, 0)):
        assert harmonic_mean(s, u) == pytest.approx(h, abs=5e-5)
    assert harmonic_mean(None, 3.0) is None and harmonic_mean(3.0, None) is None


def by_hand(metric=ZeroShotIoUMetric, classes='abc', label=(0, 0, 1, 1, 2, 2, 255), pred=(0, 1, 1, 1, 2, 0, 2), **meta):
    metric = metric()
    metric.dataset_meta = dict(classes=tuple(classes), **meta)
    metric.process({}, [sample(torch.tensor([pred]), torch.tensor([label]))])
    return metric.evaluate(1), metric.report


def test_scores_by_hand():
    scores, report = by_hand(seen=(0,), unseen=(1, 2))
    assert report['IoU'] == pytest.approx([100 / 3, 200 / 3, 50], abs=1e-4) and report['aAcc'] == pytest.approx(400 / 6, abs=1e-4)
    assert (report['mIoU_seen'], report['mIoU_unseen'], report['hIoU']) == pytest.approx((33.3333, 58.3333, 42.4242), abs=1e-4)
    assert (scores['mIoU_seen'], scores['mIoU_unseen'], scores['hIoU'], scores['aAcc'], scores['IoU.b']) == (
        33.33,
        58.33,
        42.42,
        66.67,
        66.67,
    )
    each = [2 * a * b / (a + b) for a, b in ((100 / 3, 200 / 3), (100 / 3, 50))]
    assert abs(report['hIoU'] - np.mean(each)) > 0.1 and report['mIoU'] == pytest.approx(50)  # of the means, and groups are not mixed
    assert by_hand(unseen=('b', 'c'))[1] == report


def test_what_is_absent_is_none_and_not_zero():
    """No pixel of an unseen class is true, whether one is predicted (an IoU of 0) or not (NaN)."""
    for pred in ((0, 1, 1, 1, 0, 0, 2), (0, 1, 1, 1, 2, 0, 2)):
        scores, report = by_hand(label=(0, 0, 1, 1, 0, 0, 255), pred=pred, unseen=(2,))
        assert (
            report['mIoU_unseen'] is None
            and report['hIoU'] is None
            and report['mIoU_seen'] > 0
            and 'hIoU' not in scores
            and 'mIoU_unseen' not in scores
            and 'mIoU_seen' in scores
        )
    scores, report = by_hand(pred=(0, 1, 1, 1, 0, 0, 2), unseen=(2,))
    assert report['mIoU_unseen'] == report['hIoU'] == scores['hIoU'] == 0  # true pixels, none found: 0
    assert by_hand(unseen=())[1]['hIoU'] is None


def test_a_class_that_never_occurs_leaves_the_mean_of_its_group():
    counts = confusion_counts(torch.tensor([0, 1, 1, 1]), torch.tensor([0, 0, 1, 1]), 4)
    assert zero_shot_scores(counts, (0, 2), (1, 3)) == pytest.approx(
        dict(mIoU_seen=50, mIoU_unseen=200 / 3, hIoU=2 * 50 * 200 / 3 / (50 + 200 / 3))
    )


def test_the_other_scores_are_those_of_segmetric():
    a, b = SegMetric(), ZeroShotIoUMetric()
    for metric in (a, b):
        metric.dataset_meta = dict(classes=tuple('abcdef'), unseen=(1, 4))
        for pred, label in pairs():
            metric.process({}, [sample(pred, label)])
    x, y = a.evaluate(5), b.evaluate(5)
    assert (
        {k: y[k] for k in x} == x
        and {k: b.report[k] for k in a.report} == a.report
        and set(y) - set(x) == {'mIoU_seen', 'mIoU_unseen', 'hIoU'}
    )
    assert b.report['mIoU_unseen'] == pytest.approx(np.mean([b.report['IoU'][i] for i in (1, 4)]), abs=1e-4)


def test_a_set_without_groups():
    with pytest.raises(UserError, match='names no unseen classes'):
        by_hand()
    with pytest.raises(UserError, match='both seen and unseen'):
        by_hand(seen=(0, 1), unseen=(1, 2))


# -- the leaderboard -------------------------------------------------------------------------------------------------------
def scored(folder, score, unseen, seed=0, **more):
    own = write(folder, score=score, seed=seed, **more)
    content = read_json(own / 'metrics.json')
    content['test'].update(mIoU_seen=score + 10, mIoU_unseen=unseen, hIoU=None if unseen is None else harmonic_mean(score + 10, unseen))
    write_json(own / 'metrics.json', content)
    signed(own)


def test_columns_of_a_leaderboard(tmp_path):
    for seed in (0, 1):
        scored(tmp_path, 40, 10 + 2 * seed, seed)
        scored(tmp_path, 44, 20, seed, method='SAM', synthetic_text=True)
        scored(tmp_path, 44, None, seed, method='none')
    write(tmp_path, data='elsewhere')
    paths = build(tmp_path)
    page, text = (open(paths[k], encoding='utf-8').read() for k in ('html', 'md'))
    assert '| step ÷ alone | S, % | U, % | hIoU, % |' in text and '| step ÷ alone |\n' in text  # the other data has none
    assert re.search(r'\| small \| – \| alone \| 2 \| 40.00\W±\W0.00 \|.*\| 50.00 \| 11.000 \| 18.01\d \|', text) and re.search(
        r'\| none \| 2 \| 44.00\W±\W0.00 \|.*\| 54.00 \| – \| – \|', text
    )
    assert 'SAM (synthetic text)' in text and 'SAM (synthetic text)' in page and 'alone (synthetic text)' not in page
    heads = [re.findall(r'<button type="button">(.*?)</button>', h) for h in re.findall(r'<thead>(.*?)</thead>', page, re.S)]
    cells = [r.count('<td') + r.count('<th') for r in re.findall(r'<tr class.*?</tr>', page, re.S)]
    main = [h for h in heads if 'verdict' in h]
    assert (
        sorted(len(h) for h in main) == [11, 14]
        and max(main, key=len)[10:] == ['step ÷ alone', 'S, %', 'U, %', 'hIoU, %']
        and sorted(set(cells) & {11, 14}) == [11, 14]
    )
    for line in text.splitlines():
        if line.startswith('| student | teacher'):
            head = line
        elif line.startswith('| small | –'):
            assert line.count('|') == head.count('|')
    frame = pd.read_csv(paths['csv'])
    assert (
        frame[frame['data'] == 'scenes']['mIoU_unseen'].dropna().tolist() == [11, 20]
        and frame[frame['data'] == 'elsewhere']['hIoU'].isna().all()
    )
    plain = build(tmp_path, tmp_path / 'o', metric='hIoU')
    text = open(plain['md'], encoding='utf-8').read()
    assert '| hIoU, % (95 %) | gain' in text and '| step ÷ alone | S, % | U, % |\n' in text


def test_a_table_without_zero_shot_runs_has_no_such_column(tmp_path):
    write(tmp_path)
    paths = build(tmp_path)
    page, text = (open(paths[k], encoding='utf-8').read() for k in ('html', 'md'))
    assert '>S</button>' not in page and 'hIoU' not in page and 'hIoU' not in text and 'hIoU' not in open(paths['csv']).readline()


def test_a_synthetic_cache_is_found_in_a_config(tmp_path):
    save_text_embeddings(tmp_path / 's.pt', synthetic_embeddings('ab', 4))
    head = dict(decode_head=dict(type='x', text_embeddings=str(tmp_path / 's.pt')))
    (tmp_path / 'c.py').write_text(f'model = {head!r}')
    assert (
        synthetic_text(dict(student=head, methods=[]))
        and synthetic_text(dict(methods=[head]))
        and synthetic_text(dict(student=dict(cfg=str(tmp_path / 'c.py'))))
    )
    assert not synthetic_text(dict(decode_head=dict(text_embeddings=str(tmp_path / 'no.pt')))) and not synthetic_text(
        dict(student=dict(type='x', n=[1, None, 'a']))
    )


def test_run_json_says_that_the_text_was_synthetic(tmp_path):
    from helpers.configs import config
    from helpers.networks import distiller

    from vkd.runs.run import run

    save_text_embeddings(tmp_path / 's.pt', synthetic_embeddings('ab', 4))
    cfg = config(distiller(), tmp_path / 'r')
    cfg.model.student.decode_head.text_embeddings = str(tmp_path / 's.pt')
    with pytest.raises(UserError, match='text_embeddings'):  # this head has none; what the run is was written before
        run(cfg, tmp_path / 'r')
    assert read_json(tmp_path / 'r/run.json')['synthetic_text'] is True
