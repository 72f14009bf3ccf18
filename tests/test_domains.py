"""Several domains in one run: whose scores they are, what their mean is, and the data sets of domain generalisation in their real layouts."""
import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image
from tiny import config, segmentor

from vkd import UserError
from vkd.datasets import DemoDataset, MultiDomainDataset, StreetDataset
from vkd.datasets.street import RAW_IDS, to_train_ids, write_train_ids
from vkd.evaluation import MultiDomainIoUMetric, SegMetric
from vkd.run import results, run

CLASSES = ('a', 'b')


def sample(pred, label, **meta):
    return SegDataSample(pred_sem_seg=PixelData(data=torch.as_tensor(pred)[None]), gt_sem_seg=PixelData(data=torch.as_tensor(label)[None]), metainfo=dict(img_path='x.png', **meta)).to_dict()


def with_iou(percent, n, domain):
    """``n`` images in each of which both classes have that IoU: of k pixels a class, e are taken for the other, so IoU = (k - e) / (k + e)."""
    k, e = 100 + percent, 100 - percent
    label = np.repeat([0, 1], k)[None]
    pred = label.copy()
    pred[0, :e], pred[0, k:k + e] = 1, 0
    return [sample(pred, label, domain=domain) for _ in range(n)]


def metric(domains=('x', 'y', 'z'), **options):
    out = MultiDomainIoUMetric(**options)
    out.dataset_meta = dict(classes=CLASSES, domains=list(domains))
    return out


def test_the_mean_does_not_count_images():
    for numbers in ((1, 1, 1), (7, 1, 3)):
        own = metric()
        for name, percent, n in zip('xyz', (40, 50, 60), numbers):
            own.process({}, with_iou(percent, n, name))
        scores = own.evaluate(sum(numbers))
        assert (scores['mIoU'], scores['mIoU.x'], scores['mIoU.y'], scores['mIoU.z']) == (50, 40, 50, 60)
        assert own.report['mIoU'] == pytest.approx(50, abs=1e-4) and [own.report['domains'][d]['images'] for d in 'xyz'] == list(numbers) and own.report['images'] == sum(numbers)
        assert own.report['IoU'] == pytest.approx([50, 50], abs=1e-4) and own.report['domains']['x']['IoU'] == pytest.approx([40, 40], abs=1e-4)


def test_domains_left_out_of_the_mean():
    own = metric(mean_over=['x', 'z'])
    for name, percent in zip('xyz', (40, 10, 60)):
        own.process({}, with_iou(percent, 1, name))
    scores = own.evaluate(3)
    assert scores['mIoU'] == 50 and scores['mIoU.y'] == 10 and [own.report['domains'][d]['in_mean'] for d in 'xyz'] == [True, False, True]


def test_each_domain_is_scored_as_alone():
    random = torch.Generator().manual_seed(0)
    own, alone = metric('ab'), {d: SegMetric() for d in 'ab'}
    for m in alone.values():
        m.dataset_meta = dict(classes=CLASSES)
    batch = [sample(torch.randint(2, (9, 7), generator=random), torch.randint(2, (9, 7), generator=random), domain=d) for d in 'abbaab']  # mixed within a batch
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
    assert own.report['domains']['a']['IoU'] == [100, None] and own.report['IoU'] == pytest.approx([75, 50], abs=1e-4) and own.report['mIoU'] == pytest.approx(75, abs=1e-4)


def test_bad_samples():
    for samples, match in (([sample([[0]], [[0]], domain='w')], "'w'.*x, y, z"), ([sample([[0]], [[0]])], "x.png.*None"), ([sample([[0]], [[0, 1]], domain='x')], 'differ in size')):
        with pytest.raises(UserError, match=match):
            metric().process({}, samples)
    own = metric()
    own.process({}, with_iou(40, 2, 'x') + with_iou(40, 1, 'y'))
    with pytest.raises(UserError, match="'z' has no image"):
        own.evaluate(3)
    own.process({}, with_iou(40, 2, 'x'))
    with pytest.raises(UserError, match='saw 2 images of a set of 3'):
        own.evaluate(3)
    with pytest.raises(UserError, match="'q'.*nearest|'q'.*names"):
        metric(mean_over=['x', 'q']).process({}, with_iou(40, 1, 'x'))
    plain = MultiDomainIoUMetric()
    plain.dataset_meta = dict(classes=CLASSES)
    with pytest.raises(UserError, match='MultiDomainDataset'):
        plain.process({}, with_iou(40, 1, 'x'))


# -- data sets behind each other -------------------------------------------------------------------------------------------
def scenes(domain, seed=0, length=2, size=(32, 48), **more):
    return dict(type='vkd.DemoDataset', split='test', length=length, seed=seed, size=size, pipeline=[dict(type='vkd.DrawScene'), dict(type='mmseg.PackSegInputs')], **({'domain': domain} if domain else {}), **more)


def test_samples_name_their_domain():
    data = MultiDomainDataset([scenes('clear', length=3), scenes('dim', seed=1, size=(40, 64))])
    assert len(data) == 5 and data.metainfo['domains'] == ['clear', 'dim'] and data.metainfo['classes'] == DemoDataset.METAINFO['classes']
    assert [data[i]['data_samples'].domain for i in range(5)] == ['clear'] * 3 + ['dim'] * 2 and [tuple(data[i]['inputs'].shape[1:]) for i in (2, 3)] == [(32, 48), (40, 64)]


def test_bad_lists():
    for datasets, match in (([scenes('a'), scenes('a', 1)], "two data sets are the domain 'a'"), ([scenes('a'), scenes(None)], 'has no name'), ([], 'no data set'),
                            ([scenes('a'), scenes('b', metainfo=dict(classes=('sky', 'car')))], "'b' has the classes sky, car")):
        with pytest.raises(UserError, match=match):
            MultiDomainDataset(datasets)


def test_a_run_over_two_domains(tmp_path):
    cfg = config(segmentor(8), tmp_path / 'r', iters=2, interval=2)
    loader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(type='vkd.MultiDomainDataset', datasets=[scenes('clear', length=3), scenes('dim', seed=1, size=(40, 64))]))
    cfg.model = dict(type='vkd.Distiller', student=segmentor(8), methods=[])
    cfg.val_dataloader = cfg.test_dataloader = loader
    cfg.val_evaluator = cfg.test_evaluator = dict(type='vkd.MultiDomainIoUMetric', mean_over=['clear'])
    found = run(cfg, tmp_path / 'r')['test']
    assert found == results(tmp_path / 'r')['test'] and set(found['domains']) == {'clear', 'dim'} and found['mIoU'] == found['domains']['clear']['mIoU'] and found['domains']['dim']['images'] == 2


# -- street scenes ---------------------------------------------------------------------------------------------------------
def image(path, size=(6, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((*size, 3), np.uint8))


def label(path, values, size=(6, 8), kind='L'):
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = np.zeros(size, np.uint8)
    ids.flat[:len(values)] = values
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


@pytest.mark.parametrize('name, split', [('gtav', 'train'), ('synthia', 'train'), ('urbansyn', 'train'), ('bdd100k', 'val'), ('mapillary', 'val')])
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
    for ask, match in ((lambda: StreetDataset('gta'), 'gtav'), (lambda: StreetDataset('gtav', split='val'), "no split 'val'"), (lambda: StreetDataset('gtav'), 'does not exist'),
                       (lambda: StreetDataset('bdd100k', split='train'), 'no image'), (lambda: write_train_ids('bdd100k'), 'no labels to convert'), (lambda: write_train_ids('synthia'), 'does not exist')):
        with pytest.raises(UserError, match=match):
            ask()
    (tmp_path / 'gtav/labels').mkdir(parents=True)
    with pytest.raises(UserError, match='no raw label'):
        write_train_ids('gtav')
    (tmp_path / 'gtav/labels/1.png').write_bytes(b'nothing')
    with pytest.raises(UserError, match='1.png.*cannot be read'):
        write_train_ids('gtav', progress=False)
