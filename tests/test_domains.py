"""Several domains in one run: whose scores they are, what their mean is, and the data sets of domain generalisation in their real layouts."""

import cv2
import numpy as np
import pytest
import torch
from helpers import ROOT
from helpers.configs import config
from helpers.errors import fails
from helpers.networks import segmentor
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from vkd import UserError
from vkd.build.config import load_config
from vkd.datasets import DemoDataset, MultiDomainDataset, StreetDataset
from vkd.datasets.street import RAW_IDS, to_train_ids, write_train_ids
from vkd.evaluation import MultiDomainIoUMetric, SegMetric
from vkd.registry import DATASETS, METRICS
from vkd.runs.run import run, scores_of

CLASSES = ('a', 'b')


def sample(pred, label, **meta):
    return SegDataSample(
        pred_sem_seg=PixelData(data=torch.as_tensor(pred)[None]),
        gt_sem_seg=PixelData(data=torch.as_tensor(label)[None]),
        metainfo=dict(img_path='x.png', **meta),
    ).to_dict()


def with_iou(percent, n, domain):
    """``n`` images in each of which both classes have that IoU: of k pixels a class, e are taken for the other, so IoU = (k - e) / (k + e)."""
    k, e = 100 + percent, 100 - percent
    label = np.repeat([0, 1], k)[None]
    pred = label.copy()
    pred[0, :e], pred[0, k : k + e] = 1, 0
    return [sample(pred, label, domain=domain) for _ in range(n)]


def metric(domains=('x', 'y', 'z'), **options):
    out = MultiDomainIoUMetric(**options)
    out.dataset_meta = dict(classes=CLASSES, domains=list(domains))
    return out


def test_the_mean_does_not_count_images():
    for numbers in ((1, 1, 1), (7, 1, 3)):
        own = metric()
        for name, percent, n in zip('xyz', (40, 50, 60), numbers, strict=False):
            own.process({}, with_iou(percent, n, name))
        scores = own.evaluate(sum(numbers))
        assert (scores['mIoU'], scores['mIoU.x'], scores['mIoU.y'], scores['mIoU.z']) == (50, 40, 50, 60)
        assert (
            own.report['mIoU'] == pytest.approx(50, abs=1e-4)
            and [own.report['domains'][d]['images'] for d in 'xyz'] == list(numbers)
            and own.report['images'] == sum(numbers)
        )
        assert own.report['IoU'] == pytest.approx([50, 50], abs=1e-4) and own.report['domains']['x']['IoU'] == pytest.approx(
            [40, 40], abs=1e-4
        )


def test_domains_left_out_of_the_mean():
    own = metric(mean_over=['x', 'z'])
    for name, percent in zip('xyz', (40, 10, 60), strict=False):
        own.process({}, with_iou(percent, 1, name))
    scores = own.evaluate(3)
    assert scores['mIoU'] == 50 and scores['mIoU.y'] == 10 and [own.report['domains'][d]['in_mean'] for d in 'xyz'] == [True, False, True]


def test_each_domain_is_scored_as_alone():
    random = torch.Generator().manual_seed(0)
    own, alone = metric('ab'), {d: SegMetric() for d in 'ab'}
    for m in alone.values():
        m.dataset_meta = dict(classes=CLASSES)
    # mixed within a batch
    batch = [sample(torch.randint(2, (9, 7), generator=random), torch.randint(2, (9, 7), generator=random), domain=d) for d in 'abbaab']
    own.process({}, batch)
    for s in batch:
        alone[s['domain']].process({}, [s])
    own.evaluate(6)
    for d, m in alone.items():
        m.evaluate(3)
        assert {k: v for k, v in own.report['domains'][d].items() if k != 'in_mean'} == m.report


def test_a_class_that_a_domain_lacks():
    own = metric('ab')
    own.process({}, [sample(np.zeros((2, 2), np.int64), np.zeros((2, 2), np.int64), domain='a'), *with_iou(50, 1, 'b')])
    own.evaluate(2)
    assert (
        own.report['domains']['a']['IoU'] == [100, None]
        and own.report['IoU'] == pytest.approx([75, 50], abs=1e-4)
        and own.report['mIoU'] == pytest.approx(75, abs=1e-4)
    )


def test_bad_samples():
    for samples, match in (
        ([sample([[0]], [[0]], domain='w')], "'w'.*x, y, z"),
        ([sample([[0]], [[0]])], "x.png.*None"),
        ([sample([[0]], [[0, 1]], domain='x')], 'differ in size'),
    ):
        with pytest.raises(UserError, match=match):
            metric().process({}, samples)
    own = metric()
    own.process({}, with_iou(40, 2, 'x') + with_iou(40, 1, 'y'))
    with pytest.raises(UserError, match="'z' has no image"):
        own.evaluate(3)
    own.process({}, with_iou(40, 2, 'x'))
    with fails('incomplete-set', '2 images of a set of 3'):
        own.evaluate(3)
    own.process({}, with_iou(40, 1, 'x') + with_iou(40, 1, 'y') + [sample([[0]], [[255]], domain='z')])
    with pytest.raises(UserError, match="no pixel of domain 'z' has a label"):
        own.evaluate(3)
    with pytest.raises(UserError, match="'q'.*nearest|'q'.*names"):
        metric(mean_over=['x', 'q']).process({}, with_iou(40, 1, 'x'))
    plain = MultiDomainIoUMetric()
    plain.dataset_meta = dict(classes=CLASSES)
    with pytest.raises(UserError, match='MultiDomainDataset'):
        plain.process({}, with_iou(40, 1, 'x'))


# -- data sets behind each other -------------------------------------------------------------------------------------------
def scenes(domain, seed=0, length=2, size=(32, 48), **more):
    return dict(
        type='vkd.DemoDataset',
        split='test',
        length=length,
        seed=seed,
        size=size,
        pipeline=[dict(type='vkd.DrawScene'), dict(type='mmseg.PackSegInputs')],
        **({'domain': domain} if domain else {}),
        **more,
    )


def test_samples_name_their_domain():
    data = MultiDomainDataset([scenes('clear', length=3), scenes('dim', seed=1, size=(40, 64))])
    assert len(data) == 5 and data.metainfo['domains'] == ['clear', 'dim'] and data.metainfo['classes'] == DemoDataset.METAINFO['classes']
    assert [data[i]['data_samples'].domain for i in range(5)] == ['clear'] * 3 + ['dim'] * 2 and [
        tuple(data[i]['inputs'].shape[1:]) for i in (2, 3)
    ] == [(32, 48), (40, 64)]


def test_bad_lists():
    for datasets, match in (
        ([scenes('a'), scenes('a', 1)], "two data sets are the domain 'a'"),
        ([scenes('a'), scenes(None)], 'has no name'),
        ([], 'no data set'),
        ([scenes('a'), scenes('b', metainfo=dict(classes=('sky', 'car')))], "'b' has the classes sky, car"),
    ):
        with pytest.raises(UserError, match=match):
            MultiDomainDataset(datasets)


def test_a_run_over_two_domains(tmp_path):
    cfg = config(segmentor(8), tmp_path / 'r', iters=2, interval=2)
    loader = dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
        dataset=dict(type='vkd.MultiDomainDataset', datasets=[scenes('clear', length=3), scenes('dim', seed=1, size=(40, 64))]),
    )
    cfg.model = dict(type='vkd.Distiller', student=segmentor(8), methods=[])
    cfg.val_dataloader = cfg.test_dataloader = loader
    cfg.val_evaluator = cfg.test_evaluator = dict(type='vkd.MultiDomainIoUMetric', mean_over=['clear'])
    found = run(cfg, tmp_path / 'r')['test']
    assert (
        found == scores_of(tmp_path / 'r')['test']
        and set(found['domains']) == {'clear', 'dim'}
        and found['mIoU'] == found['domains']['clear']['mIoU']
        and found['domains']['dim']['images'] == 2
    )


# -- street scenes ---------------------------------------------------------------------------------------------------------
def image(path, size=(6, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((*size, 3), np.uint8))


def label(path, values, size=(6, 8), kind='L'):
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = np.zeros(size, np.uint8)
    ids.flat[: len(values)] = values
    if kind == 'synthia':  # 16 bits: class in the red channel, instances in the green
        cv2.imwrite(str(path), np.stack([np.zeros(size), np.full(size, 300), ids], -1).astype(np.uint16))
        return
    out = Image.fromarray(ids)
    if kind == 'P':
        out.putpalette(list(range(256)) * 3)
    out.save(path)


def real(name, root, split='train'):
    """A picture and its label where the distribution has them; raw labels hold the ids 0, 7, 8, 3 and more."""
    if name == 'gtav':
        image(root / 'images/00001.png')
        label(root / 'labels/00001.png', [0, 7, 26, 33, 34], kind='P')
    elif name == 'synthia':
        image(root / 'RGB/0000000.png')
        label(root / 'GT/LABELS/0000000.png', [0, 3, 8, 11, 22], kind='synthia')
    elif name == 'mapillary':
        image(root / 'validation/images/x_y.jpg')
        label(root / 'validation/v1.2/labels/x_y.png', [65, 13, 55, 52, 28], kind='P')
    elif name == 'urbansyn':
        image(root / 'rgb/rgb_0001.png')
        label(root / 'ss/ss_0001.png', [19, 0, 13, 18, 19])
    else:
        image(root / f'images/10k/{split}/ab-cd.jpg')
        label(root / f'labels/sem_seg/masks/{split}/ab-cd.png', [255, 0, 13, 18, 255])


@pytest.mark.parametrize(
    'name, split', [('gtav', 'train'), ('synthia', 'train'), ('urbansyn', 'train'), ('bdd100k', 'val'), ('mapillary', 'val')]
)
def test_layouts_and_label_maps(name, split, tmp_path, monkeypatch):
    monkeypatch.setenv('VKD_DATA_ROOT', str(tmp_path))
    real(name, tmp_path / name, split)
    if name in RAW_IDS:
        with pytest.raises(UserError, match='labelTrainIds'):
            StreetDataset(name, split=split)
        assert write_train_ids(name, split=split, progress=False) == 1 and write_train_ids(name, split=split, progress=False) == 0
    data = StreetDataset(name, split=split, pipeline=[dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel')])
    assert len(data) == 1 and len(data.metainfo['classes']) == 19
    found = data[0]['gt_seg_map']
    assert found.shape == (6, 8) and found.flat[:5].tolist() == [255, 0, 13, 18, 255]


def test_label_maps_cover_the_classes():
    assert all(set(ids.values()) == set(range(19)) for ids in RAW_IDS.values())
    assert to_train_ids(np.array([[33, 200]]), RAW_IDS['gtav']).tolist() == [[18, 255]]
    names = {10: 0, 46: 7, 49: 7, 11: 1, 16: 255, 25: 255}  # parking, sign frame, back of a sign, pedestrian area, bridge, mountain
    assert to_train_ids(np.array([list(names)]), RAW_IDS['mapillary'])[0].tolist() == list(names.values())


def test_bad_street_data(tmp_path, monkeypatch):
    monkeypatch.setenv('VKD_DATA_ROOT', str(tmp_path))
    real('bdd100k', tmp_path / 'bdd100k', 'val')
    for ask, match in (
        (lambda: StreetDataset('gta'), 'gtav'),
        (lambda: StreetDataset('gtav', split='val'), "no split 'val'"),
        (lambda: StreetDataset('gtav'), 'does not exist'),
        (lambda: StreetDataset('bdd100k', split='train'), 'no image'),
        (lambda: write_train_ids('bdd100k'), 'no labels to convert'),
        (lambda: write_train_ids('synthia'), 'does not exist'),
    ):
        with pytest.raises(UserError, match=match):
            ask()
    (tmp_path / 'gtav/labels').mkdir(parents=True)
    with pytest.raises(UserError, match='no raw label'):
        write_train_ids('gtav')
    (tmp_path / 'gtav/labels/1.png').write_bytes(b'nothing')
    with fails('broken-file', '1.png'):
        write_train_ids('gtav', progress=False)


# -- the shipped data configs, on folders as they are distributed ------------------------------------------------------------
def cityscapes(root, split):
    image(root / f'leftImg8bit/{split}/aachen/aachen_000000_000019_leftImg8bit.png', (128, 256))
    label(root / f'gtFine/{split}/aachen/aachen_000000_000019_gtFine_labelTrainIds.png', [0, 5, 255], (128, 256))


def tiles(root, split):
    image(root / f'img_dir/{split}/2_10_0_0_512_512.png', (64, 64))
    label(root / f'ann_dir/{split}/2_10_0_0_512_512.png', [0, 1, 2, 6], (64, 64))


def all_folders(root):
    for split in ('train', 'val'):
        cityscapes(root / 'cityscapes', split)
        for name in ('potsdam_rgb', 'potsdam_irrg', 'vaihingen'):
            tiles(root / name, split)
    for condition in ('night', 'snow', 'fog', 'rain'):
        image(root / f'acdc/rgb_anon/{condition}/val/GOPR0356/GOPR0356_frame_000321_rgb_anon.png', (108, 192))
        label(root / f'acdc/gt/{condition}/val/GOPR0356/GOPR0356_frame_000321_gt_labelTrainIds.png', [0, 3], (108, 192))
    for name, split in (('gtav', 'train'), ('synthia', 'train'), ('urbansyn', 'train'), ('bdd100k', 'val'), ('mapillary', 'val')):
        real(name, root / name, split)
        if name in RAW_IDS:
            write_train_ids(name, split=split, progress=False)


@pytest.mark.parametrize(
    'name, domains, classes, images',
    [
        ('gtav-dg', ['cityscapes', 'bdd100k', 'mapillary'], 19, 1),
        ('gtav-synthia-urbansyn-dg', ['cityscapes', 'bdd100k', 'mapillary'], 19, 3),
        ('cityscapes-dg', ['night', 'snow', 'fog', 'rain', 'cityscapes'], 19, 1),
        ('potsdam-dg', ['potsdam_irrg', 'vaihingen_irrg'], 6, 1),
    ],
)
def test_shipped_protocols(name, domains, classes, images, tmp_path, monkeypatch):
    monkeypatch.setenv('VKD_DATA_ROOT', str(tmp_path / 'data'))
    all_folders(tmp_path / 'data')
    cfg = load_config(ROOT / f'configs/_base_/datasets/{name}.py')
    with DefaultScope.overwrite_default_scope('mmseg'):
        train, test = (DATASETS.build(cfg[f'{part}_dataloader'].dataset) for part in ('train', 'test'))
        metric_of = METRICS.build(cfg.test_evaluator)
    assert (
        len(train) == images
        and test.metainfo['domains'] == domains
        and len(test.metainfo['classes']) == classes
        and len(test) == len(domains)
    )
    sizes = set()
    for i in range(len(train)):
        item = train[i]
        assert max(item['inputs'].shape[1:]) <= 512 and item['data_samples'].gt_sem_seg.shape == item['inputs'].shape[1:]
        assert set(item['data_samples'].gt_sem_seg.data.unique().tolist()) <= {*range(classes), 255}
    for i, domain in enumerate(domains):
        sample_ = test[i]['data_samples']
        truth = sample_.gt_sem_seg.data
        assert (
            sample_.domain == domain
            and tuple(truth.shape[-2:]) == tuple(sample_.ori_shape)
            and set(truth.unique().tolist()) <= {*range(classes), 255}
        )
        sizes.add(tuple(test[i]['inputs'].shape[1:]))
        metric_of.dataset_meta = test.metainfo
        metric_of.process({}, [dict(sample_.to_dict(), pred_sem_seg=dict(data=truth.clamp(max=classes - 1)))])
    scores = metric_of.evaluate(len(domains))
    assert scores['mIoU'] == 100 and len(sizes) >= (1 if classes == 6 else 2)
    left_out = [d for d, r in metric_of.report['domains'].items() if not r['in_mean']]
    assert left_out == (['cityscapes'] if name == 'cityscapes-dg' else [])


def test_shipped_lists_without_labels(tmp_path, monkeypatch):
    monkeypatch.setenv('VKD_DATA_ROOT', str(tmp_path / 'data'))
    all_folders(tmp_path / 'data')
    with DefaultScope.overwrite_default_scope('mmseg'):
        for name, file in (
            ('gtav', '00001.png'),
            ('potsdam', '2_10_0_0_512_512.png'),
            ('cityscapes', 'aachen_000000_000019_leftImg8bit.png'),
        ):
            cfg = load_config(ROOT / f'configs/_base_/datasets/{name}-unlabeled.py').train_dataloader.dataset
            data = DATASETS.build(cfg)
            assert (
                [data.get_data_info(i)['img_path'].rsplit('/', 1)[-1] for i in range(len(data))] == [file]
                and data[0]['inputs'].shape == (3, 512, 512)
                and 'gt_sem_seg' not in data[0]['data_samples']
            )
        cfg.data_root = 'data/cityscapes/leftImg8bit'  # all splits: what is tested would be trained on
        with pytest.raises(UserError, match='target domain'):
            DATASETS.build(cfg)


def test_day_and_dusk(camvid):
    """The real CamVid: what is trained on, and what is tested."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        cfg = load_config(ROOT / 'configs/_base_/datasets/camvid-domains-160x160.py')
        train, test = (DATASETS.build(cfg[f'{part}_dataloader'].dataset) for part in ('train', 'test'))
        free = DATASETS.build(load_config(ROOT / 'configs/_base_/datasets/camvid-day-unlabeled.py').train_dataloader.dataset)
    assert [len(d) for d in (train, free, *test.datasets)] == [305, 305, 171, 62] and test.domains == ['day', 'dusk']
    assert {test[i]['data_samples'].domain for i in (0, 170)} == {'day'} and test[171]['data_samples'].domain == 'dusk'
    assert not any('0001TP' in free.get_data_info(i)['img_path'] for i in range(len(free)))
