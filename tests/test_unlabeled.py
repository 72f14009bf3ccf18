"""Images without labels, what is refused among them, and repeated augmentation over processes and resumes."""

import builtins
import copy
import itertools
import multiprocessing
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.configs import config
from helpers.errors import fails
from helpers.processes import Power
from mmengine.config import Config
from mmengine.runner import set_random_seed

from vkd import UserError
from vkd.datasets import ImageNetAugment, RepeatedAugmentation, UnlabeledImageDataset
from vkd.engine import RandomState, build_runner
from vkd.engine.hooks import random_state
from vkd.methods.gkd import random_patch_mask


def folder(root, *names, size=(40, 48)):
    for i, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.random.default_rng(i).integers(0, 255, (*size, 3), dtype=np.uint8))
    return root


def names(dataset):
    return [Path(dataset.get_data_info(i)['img_path']).name for i in range(len(dataset))]


# -- which images ----------------------------------------------------------------------------------------------------------
def test_all_levels_and_endings(tmp_path):
    folder(tmp_path / 'a', 'x.png', 'deep/er/y.JPG', 'z.bmp')
    (tmp_path / 'a/notes.txt').write_text('no image')
    folder(tmp_path / 'b', 'w.jpeg')
    assert names(UnlabeledImageDataset(str(tmp_path / 'a'))) == ['y.JPG', 'x.png', 'z.bmp']
    assert names(UnlabeledImageDataset([str(tmp_path / 'a'), str(tmp_path / 'b')])) == ['y.JPG', 'x.png', 'z.bmp', 'w.jpeg']
    assert names(UnlabeledImageDataset(str(tmp_path / 'a'), extensions=['.png'])) == ['x.png'] and names(
        UnlabeledImageDataset(str(tmp_path / 'a'), prefixes=['y', 'z'])
    ) == ['y.JPG', 'z.bmp']


def test_a_list(tmp_path, monkeypatch):
    folder(tmp_path / 'a', '1.png', 'sub/2.png', '3.png')
    (tmp_path / 'a/train.txt').write_text('sub/2.png\n\n1.png\n')
    monkeypatch.setenv('VKD_DATA_ROOT', str(tmp_path))
    for file in ('train.txt', str(tmp_path / 'a/train.txt')):
        assert names(UnlabeledImageDataset('data/a', list_file=file)) == ['1.png', '2.png']
    (tmp_path / 'a/train.txt').write_text('4.png')
    with pytest.raises(UserError, match='4.png'):
        UnlabeledImageDataset('data/a', list_file='train.txt')
    with pytest.raises(UserError, match='val.txt'):
        UnlabeledImageDataset('data/a', list_file='val.txt')


@pytest.mark.parametrize(
    'name',
    [
        'labels/train/a.png',
        'gtFine/train/aachen/aachen_000000_000019_gtFine_color.png',
        'city/aachen_0_gtFine_labelTrainIds.png',
        'SegmentationClass/2007_1.png',
        'x_label.png',
    ],
)
def test_labels_are_refused(name, tmp_path):
    folder(tmp_path, 'images/a.png', name)
    with pytest.raises(UserError, match='like a label') as error:
        UnlabeledImageDataset(str(tmp_path))
    assert Path(name).name in str(error.value) and '\n' not in str(error.value)
    if name.startswith('labels'):
        with pytest.raises(UserError, match='like a label'):
            UnlabeledImageDataset(str(tmp_path / 'labels'))


def test_target_images_are_refused(tmp_path, monkeypatch):
    folder(tmp_path / 'data/set', 'train/day_1.png', 'train/night_1.png', 'test/night_2.png')
    monkeypatch.setenv('VKD_DATA_ROOT', str(tmp_path / 'data'))
    for targets in (['data/set/test'], ['data/set/*/night_*'], ['data/set/train/night_1.png'], [str(tmp_path / 'data/set/**/night*')]):
        with pytest.raises(UserError, match='night_.*target domain'):
            UnlabeledImageDataset('data/set', targets=targets)
    assert names(UnlabeledImageDataset('data/set', prefixes=['day'], targets=['data/set/*/night_*', 'data/set/test'])) == ['day_1.png']
    (tmp_path / 'data/set/train/alias.png').symlink_to(tmp_path / 'data/set/test/night_2.png')
    with pytest.raises(UserError, match='alias'):
        UnlabeledImageDataset('data/set/train', prefixes=['alias', 'day'], targets=['data/set/test'])
    with pytest.raises(UserError, match='guards nothing'):
        UnlabeledImageDataset('data/set', targets=['data/set/tset'])


def test_other_bad_input(tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='empty.*no image'):
        UnlabeledImageDataset(str(tmp_path / 'empty'))
    with fails('no-such-file'):
        UnlabeledImageDataset(str(tmp_path / 'none'))
    with pytest.raises(UserError, match='reads labels'):
        UnlabeledImageDataset(str(folder(tmp_path / 'a', 'x.png')), pipeline=[dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel')])
    with pytest.raises(UserError, match='repeats is 0'):
        RepeatedAugmentation([1], repeats=0)


# -- augmentation ----------------------------------------------------------------------------------------------------------
def test_augmentation_stays_on_the_scale_of_images():
    image = np.zeros((60, 80, 3), np.uint8)
    image[:] = (200, 100, 50)
    out = ImageNetAugment(32, auto_augment=None, re_prob=0).transform(dict(img=image.copy()))
    assert out['img'].shape == (32, 32, 3) and out['img_shape'] == (32, 32) and out['img'].dtype == np.float32
    np.testing.assert_allclose(out['img'], np.broadcast_to([200.0, 100.0, 50.0], (32, 32, 3)), atol=0.01)  # still BGR
    torch.manual_seed(0)
    erased = [ImageNetAugment(32, re_prob=1.0).transform(dict(img=image.copy()))['img'] for _ in range(2)]
    assert not np.array_equal(*erased) and all(np.isfinite(e).all() for e in erased)
    hardest = ImageNetAugment(32, auto_augment='rand-m10-n8-inc1')  # every policy at its end, again and again
    for _ in range(30):
        hardest.transform(dict(img=image.copy()))


# -- repeated augmentation -------------------------------------------------------------------------------------------------
def taken(sampler, n):
    return list(itertools.islice(iter(sampler), n))


def test_order():
    sampler = RepeatedAugmentation(range(10), repeats=3, seed=1)
    first = taken(sampler, 40)
    epochs = [first[i : i + 10] for i in range(0, 40, 10)]
    for epoch in epochs:
        assert epoch[0] == epoch[1] == epoch[2] != epoch[3] and len(set(epoch)) == 4 and set(epoch) <= set(range(10))
    assert epochs[0] != epochs[1] and len(sampler) == 10
    assert (
        taken(sampler, 40)
        == first
        == taken(RepeatedAugmentation(range(10), repeats=3, seed=1), 40)
        != taken(RepeatedAugmentation(range(10), repeats=3, seed=2), 40)
    )
    assert sorted(taken(RepeatedAugmentation(range(10), repeats=1, seed=1), 10)) == list(range(10))


@pytest.mark.parametrize('size, world', [(10, 2), (7, 2), (2, 3), (12, 4)])
def test_processes_take_turns(size, world):
    whole = RepeatedAugmentation(range(size), seed=0)
    parts = [RepeatedAugmentation(range(size), seed=0) for _ in range(world)]
    for rank, part in enumerate(parts):
        part.rank, part.world = rank, world
    whole.world = world  # the same epochs
    whole.rank, length = 0, 20
    together = [x for turn in zip(*(taken(p, length) for p in parts), strict=False) for x in turn]
    assert together == list(itertools.islice(whole._order(), length * world))
    own = -(-size // world)
    if size > world:
        assert len(set(together[: own * world])) == -(-own * world // 3)  # one in three of the images, over all processes


def test_resumed():
    sampler = RepeatedAugmentation(range(7), seed=3)
    whole = taken(sampler, 50)
    sampler.rank, sampler.world = 1, 2
    half = taken(sampler, 25)
    for at in (0, 1, 13):
        sampler.skip(at)
        assert taken(sampler, 25 - at) == half[at:]
    sampler.rank, sampler.world = 0, 1
    sampler.skip(20)
    assert taken(sampler, 30) == whole[20:]


def _member(rank, path, out):
    torch.distributed.init_process_group('gloo', init_method=f'file://{path}', rank=rank, world_size=2)
    orders = taken(RepeatedAugmentation(range(9), seed=4), 12), taken(RepeatedAugmentation(range(9)), 12)
    views = []
    for iteration in (0, 0, 5):  # twice as a fresh run, then as a resumed one
        set_random_seed(3)
        hook = RandomState()
        hook.state = None if iteration == 0 else random_state()
        hook.before_train(types.SimpleNamespace(seed=3, iter=iteration))
        hook.before_train_epoch(None)
        hook.before_train_iter(None, 0)
        image = np.full((60, 80, 3), 90, np.uint8)
        image[20:40] = 200
        views.append([ImageNetAugment(32).transform(dict(img=image))['img'].sum().item(), *random_patch_mask(2, 16)[0].tolist()])
    out.put((rank, (*orders, views)))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_real_processes(tmp_path):
    context = multiprocessing.get_context('fork')  # no library is loaded again
    out = context.Queue()
    processes = [context.Process(target=_member, args=(rank, tmp_path / 'meet', out)) for rank in range(2)]
    for process in processes:
        process.start()
    found = dict(out.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    for kind in (0, 1):  # a given seed, and one that they agree on
        flat = [x for turn in zip(found[0][kind], found[1][kind], strict=False) for x in turn]
        assert flat[0] == flat[1] == flat[2] and flat[3] == flat[4] == flat[5] and len(set(flat[:10])) == 4
    a, b = found[0][2], found[1][2]
    # as the seed says; the first process goes on with its stream, the others begin a new one
    assert a[0] == a[1] and b[0] == b[1] and b[2] != b[0]
    # copies of one image on two processes are two views of it, with two masks
    assert all(x[0] != y[0] and x[1:] != y[1:] for x, y in zip(a, b, strict=False))


# -- stage 1b in a runner --------------------------------------------------------------------------------------------------
def stage_1b(data, out, **more):
    from helpers.gkd import stage1

    cfg = config(
        stage1(),
        out,
        iters=6,
        interval=3,
        train_dataloader=dict(
            _delete_=True,
            batch_size=4,
            num_workers=0,
            sampler=dict(type='vkd.RepeatedAugmentation'),
            dataset=dict(
                type='vkd.UnlabeledImageDataset',
                data_root=str(data),
                pipeline=[dict(type='vkd.LoadImage'), dict(type='vkd.ImageNetAugment', size=32), dict(type='PackSegInputs')],
            ),
        ),
        **more,
    )
    return Config(
        {
            **cfg.to_dict(),
            **{k: None for k in ('val_dataloader', 'val_evaluator', 'val_cfg', 'test_dataloader', 'test_evaluator', 'test_cfg')},
        },
        filename=cfg.filename,
    )


def test_a_run_opens_no_label_and_resumes_to_equal_weights(tmp_path, monkeypatch):
    data = folder(tmp_path / 'set/images', *(f'{i}.png' for i in range(7)))
    folder(tmp_path / 'set/labels', *(f'{i}.png' for i in range(7)))
    opened, real = [], builtins.open
    monkeypatch.setattr(builtins, 'open', lambda file, *a, **k: (opened.append(str(file)), real(file, *a, **k))[1])
    whole = build_runner(stage_1b(data, tmp_path / 'whole'))
    whole.train()
    monkeypatch.setattr(builtins, 'open', real)
    assert not any('labels' in f for f in opened)
    pristine = stage_1b(data, tmp_path / 'cut')
    cut = build_runner(copy.deepcopy(pristine))
    cut.register_hook(Power(5))
    with pytest.raises(InterruptedError):
        cut.train()
    torch.rand(11)
    again = build_runner(pristine, tmp_path / 'cut', resume=True)
    again.train()
    a, b = whole.model.state_dict(), again.model.state_dict()
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    state = torch.load(tmp_path / 'cut/iter_6.pth', weights_only=False)['state_dict']
    assert {k.split('.')[0] for k in state} == {'student', 'methods'}
