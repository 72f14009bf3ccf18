import numpy as np
import pytest
from helpers.errors import fails
from mmseg.registry import DATASETS
from PIL import Image

from vkd import UserError
from vkd.datasets import (
    ACDCDataset,
    ADE20KDataset,
    CamVidDataset,
    CityscapesDataset,
    DemoDataset,
    ISPRSDataset,
    NYUv2Dataset,
    PotsdamDataset,
    RandomShift,
    VOCDataset,
)
from vkd.datasets.demo import CLASSES, draw_scene
from vkd.datasets.shift import shifted

PIPELINE = [
    dict(type='vkd.LoadImage'),
    dict(type='vkd.LoadLabel'),
    dict(type='mmseg.Resize', scale=(32, 24)),
    dict(type='mmseg.PackSegInputs'),
]


@pytest.fixture
def root(tmp_path):
    random = np.random.default_rng(0)
    for i in range(3):
        for folder, shape, high in (('images', (36, 48, 3), 256), ('labels', (36, 48), 12)):
            (tmp_path / folder / 'train').mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, high, shape, dtype=np.uint8)).save(tmp_path / folder / 'train' / f'{"ab"[i % 2]}_{i}.png')
    return tmp_path


def test_camvid(root):
    data = CamVidDataset(data_root=str(root), pipeline=PIPELINE)
    stored = np.array(Image.open(root / 'labels/train/a_0.png'))
    item = data[0]
    assert len(data) == 3 and item['inputs'].shape == (3, 24, 32) and len(data.metainfo['classes']) == 11
    loaded = CamVidDataset(data_root=str(root), pipeline=PIPELINE[:2])[0]['gt_seg_map']
    assert np.array_equal(loaded, np.where(stored == 11, 255, stored)) and (stored == 11).any()
    assert len(CamVidDataset(data_root=str(root), sequences=['b_'], pipeline=PIPELINE)) == 1
    assert DATASETS.build(dict(type='vkd.CamVidDataset', data_root=str(root), pipeline=PIPELINE))[0]['inputs'].shape == (3, 24, 32)


def missing_root(root):
    return str(root / 'nowhere'), 'nowhere', 'VKD_DATA_ROOT'


def empty(root):
    for file in (root / 'images/train').iterdir():
        file.unlink()
    return str(root), 'images/train', 'no image of its split'


def no_label(root):
    (root / 'labels/train/b_1.png').unlink()
    return str(root), 'b_1.png', 'no label'


def class_out_of_range(root):
    Image.fromarray(np.full((36, 48), 17, np.uint8)).save(root / 'labels/train/a_0.png')
    return str(root), 'a_0.png', 'class 17'


def other_size(root):
    Image.fromarray(np.zeros((36, 40), np.uint8)).save(root / 'labels/train/a_0.png')
    return str(root), 'a_0.png', '40x36'


def unreadable_image(root):
    (root / 'images/train/a_0.png').write_bytes(b'no image')
    return str(root), 'a_0.png', 'cannot be read'


def unreadable_label(root):
    (root / 'labels/train/a_0.png').write_bytes(b'no image')
    return str(root), 'a_0.png', 'cannot be read'


@pytest.mark.parametrize('mistake', [missing_root, empty, no_label, class_out_of_range, other_size, unreadable_image, unreadable_label])
def test_bad_input_names_the_file(root, mistake):
    where, file, told = mistake(root)
    with pytest.raises(UserError) as error:
        CamVidDataset(data_root=where, pipeline=PIPELINE)[0]
    assert file in str(error.value) and told in str(error.value) and '\n' not in str(error.value)


def test_the_root_by_environment(root, monkeypatch, tmp_path):
    monkeypatch.setenv('VKD_DATA_ROOT', str(tmp_path.parent))
    assert len(CamVidDataset(data_root=f'data/{tmp_path.name}', pipeline=PIPELINE)) == 3


def test_the_real_camvid(camvid):
    sizes = {split: CamVidDataset(data_root=camvid, split=split, pipeline=PIPELINE) for split in ('train', 'val', 'test')}
    assert [len(d) for d in sizes.values()] == [367, 101, 233]
    loaded = CamVidDataset(data_root=camvid, split='test', sequences=['0001TP'], pipeline=PIPELINE[:2])
    assert len(loaded) == 62 and loaded[0]['img'].shape == (360, 480, 3) and set(np.unique(loaded[0]['gt_seg_map'])) <= {*range(11), 255}


def test_scenes():
    image, label = draw_scene((0, 0, 0))
    again = draw_scene.__wrapped__((0, 0, 0))
    assert image.shape == (64, 96, 3) and label.shape == (64, 96) and image.dtype == label.dtype == np.uint8
    assert np.array_equal(image, again[0]) and np.array_equal(label, again[1])
    assert not np.array_equal(image, draw_scene((1, 0, 0))[0]) and draw_scene((0, 0, 1), 48, 48)[0].shape == (48, 48, 3)
    share = np.mean([[(draw_scene((0, 0, i))[1] == k).mean() for k in range(9)] for i in range(60)], axis=0)
    assert (
        share.sum() == pytest.approx(1)
        and (share > 0).all()
        and share[CLASSES.index('sign')] < 0.01
        and share[CLASSES.index('road')] > 0.15
    )


def test_demo_splits_share_no_scene():
    data = [
        DemoDataset(split=s, length=4, pipeline=[dict(type='vkd.DrawScene'), dict(type='mmseg.PackSegInputs')])
        for s in ('train', 'val', 'test')
    ]
    images = [d[i]['inputs'].numpy().tobytes() for d in data for i in range(4)]
    assert len(set(images)) == 12 and data[0][0]['data_samples'].gt_sem_seg.data.shape == (1, 64, 96)
    before = data[0][1]['inputs'].clone()
    data[0][1]['inputs'].zero_()
    assert data[0][1]['inputs'].equal(before)  # what a pipeline does to an item stays in it


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


def test_acdc_in_its_own_layout(tmp_path):
    for k, (condition, split) in enumerate((c, s) for c in ('fog', 'night', 'rain', 'snow') for s in ('train', 'val')):
        stem = f'{condition}/{split}/GOPR{k:04d}/GOPR{k:04d}_frame_000041'
        save(tmp_path / f'rgb_anon/{stem}_rgb_anon.png', np.full((36, 48, 3), k))
        save(tmp_path / f'gt/{stem}_gt_labelTrainIds.png', [[k] * 47 + [255]] * 36)
        save(tmp_path / f'gt/{stem}_gt_labelColor.png', np.zeros((36, 48, 3)))
    data = ACDCDataset(data_root=str(tmp_path), split='val', pipeline=PIPELINE[:2])
    assert len(data) == 4 and [int(data[i]['gt_seg_map'][0, 0]) for i in range(4)] == [1, 3, 5, 7] == [
        int(data[i]['img'][0, 0, 0]) for i in range(4)
    ]
    assert data[0]['gt_seg_map'][0, -1] == 255 and len(data.metainfo['classes']) == 19
    night = ACDCDataset(data_root=str(tmp_path), split='train', conditions=['night'], pipeline=PIPELINE[:2])
    assert len(night) == 1 and night[0]['gt_seg_map'][0, 0] == 2
    (tmp_path / 'gt/night/train/GOPR0002/GOPR0002_frame_000041_gt_labelTrainIds.png').unlink()
    with pytest.raises(UserError, match='GOPR0002_frame_000041_gt_labelTrainIds.png'):
        ACDCDataset(data_root=str(tmp_path), pipeline=PIPELINE)
    with pytest.raises(UserError, match="'dusk'"):
        ACDCDataset(data_root=str(tmp_path), conditions=['dusk'])
    for image in (tmp_path / 'rgb_anon/fog/val').rglob('*.png'):
        image.unlink()
    with pytest.raises(UserError, match='no image of its split'):
        ACDCDataset(data_root=str(tmp_path), split='val', conditions=['fog'], pipeline=PIPELINE)


def test_nyuv2_in_40_classes(tmp_path):
    label = np.arange(36 * 48).reshape(36, 48) % 41
    for stem in ('0001', '0002'):
        save(tmp_path / f'images/{stem}.png', np.zeros((36, 48, 3)))
        save(tmp_path / f'labels40/{stem}.png', label)
    (tmp_path / 'train.txt').write_text('0001\n'), (tmp_path / 'test.txt').write_text('0002\n0003\n')
    data = NYUv2Dataset(data_root=str(tmp_path), pipeline=PIPELINE[:2])
    assert len(data) == 1 and len(data.metainfo['classes']) == 40 and len({tuple(c) for c in data.metainfo['palette']}) == 40
    assert np.array_equal(data[0]['gt_seg_map'], np.where(label == 0, 255, label - 1))
    with pytest.raises(UserError, match="'0003'"):
        NYUv2Dataset(data_root=str(tmp_path), split='test', pipeline=PIPELINE)
    (tmp_path / 'test.txt').unlink()
    with fails('no-such-file', 'test.txt'):
        NYUv2Dataset(data_root=str(tmp_path), split='test', pipeline=PIPELINE)
    save(tmp_path / 'labels40/0001.png', np.full((36, 48), 44))
    with pytest.raises(UserError, match='class 43'):
        data[0]


def test_a_shift_moves_image_and_label_alike():
    image = np.arange(20, dtype=np.uint8).reshape(4, 5)
    assert shifted(image, 1, -2, 255).tolist() == [[255] * 5, [2, 3, 4, 255, 255], [7, 8, 9, 255, 255], [12, 13, 14, 255, 255]]
    assert np.array_equal(shifted(image, 0, 0, 9), image) and shifted(image, -1, 2, 7).tolist()[3] == [7] * 5
    np.random.seed(0)
    found = set()
    for _ in range(60):
        out = RandomShift(2).transform(dict(img=np.repeat(image[..., None], 3, 2), gt_seg_map=image.copy(), seg_fields=['gt_seg_map']))
        inside = out['gt_seg_map'] != 255
        assert np.array_equal(out['img'][inside][:, 1], out['gt_seg_map'][inside]) and (out['img'][~inside] == 0).all()
        found |= {tuple(w - (2, 2)) for w in np.argwhere(out['gt_seg_map'] == 12)}
    assert {right for _, right in found} == {-2, -1, 0, 1, 2}


def test_voc_with_the_labels_of_sbd(tmp_path):
    lists = tmp_path / 'ImageSets/Segmentation'
    lists.mkdir(parents=True)
    for k, (name, folder, stem) in enumerate(
        (
            ('train', 'SegmentationClass', '2007_000032'),
            ('aug', 'SegmentationClassAug', '2008_000002'),
            ('val', 'SegmentationClass', '2007_000033'),
        )
    ):
        save(tmp_path / f'JPEGImages/{stem}.jpg', np.zeros((36, 48, 3)))
        save(tmp_path / f'{folder}/{stem}.png', [[k] * 47 + [255]] * 36)
        (lists / f'{name}.txt').write_text(f'{stem}\n')
    data = VOCDataset(data_root=str(tmp_path), split='trainaug', pipeline=PIPELINE[:2])
    assert [int(data[i]['gt_seg_map'][0, 0]) for i in range(len(data))] == [0, 1] and data[0]['gt_seg_map'][0, -1] == 255
    assert len(data.metainfo['classes']) == 21 and len(VOCDataset(data_root=str(tmp_path), split='val', pipeline=PIPELINE)) == 1
    with fails('unknown-choice', "'test'"):
        VOCDataset(data_root=str(tmp_path), split='test')
    (lists / 'val.txt').write_text('2007_000033\n2007_000039\n')
    with pytest.raises(UserError, match="lists '2007_000039'"):
        VOCDataset(data_root=str(tmp_path), split='val', pipeline=PIPELINE)
    (tmp_path / 'SegmentationClassAug/2008_000002.png').unlink()
    with pytest.raises(UserError, match='has no label'):
        VOCDataset(data_root=str(tmp_path), split='trainaug', pipeline=PIPELINE)
    (lists / 'aug.txt').unlink()
    with pytest.raises(UserError, match='aug.txt'):
        VOCDataset(data_root=str(tmp_path), split='trainaug', pipeline=PIPELINE)


@pytest.mark.parametrize('kind', [CamVidDataset, CityscapesDataset, ACDCDataset, NYUv2Dataset, PotsdamDataset, ISPRSDataset])
def test_a_split_that_there_is_not(kind):
    with fails('unknown-choice', f"{kind.__name__}: split 'tset'.*nearest"):
        kind(split='tset')


def test_ade20k_as_it_is_distributed(tmp_path):
    for split in ('training', 'validation'):
        save(tmp_path / f'images/{split}/ADE_{split}_1.jpg', np.zeros((4, 6, 3)))
        save(tmp_path / f'annotations/{split}/ADE_{split}_1.png', [[0, 1, 2, 149, 150, 150]] * 4)
    data = ADE20KDataset(data_root=str(tmp_path), pipeline=PIPELINE[:2])
    assert len(data) == 1 and data[0]['gt_seg_map'][0].tolist() == [255, 0, 1, 148, 149, 149] and len(data.metainfo['classes']) == 150
    with fails('unknown-choice', "'val'"):
        ADE20KDataset(data_root=str(tmp_path), split='val')
    save(tmp_path / 'annotations/training/ADE_training_1.png', [[151] * 6] * 4)
    with pytest.raises(UserError, match='holds class 150; the dataset has classes 0 to 149'):
        data[0]
    (tmp_path / 'annotations/validation/ADE_validation_1.png').unlink()
    with pytest.raises(UserError, match='has no label'):
        ADE20KDataset(data_root=str(tmp_path), split='validation', pipeline=PIPELINE)
