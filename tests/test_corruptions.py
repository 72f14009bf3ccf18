"""Common corruptions: what each does, that nothing but the image and the seed decides it, and the evaluation that goes on where it was
stopped.
"""

import itertools

import cv2
import numpy as np
import pytest
import torch
from helpers.configs import config
from helpers.networks import build, segmentor

from vkd import UserError
from vkd.datasets.demo import draw_scene
from vkd.io.files import read_json, write_json
from vkd.robustness.corruption import corrupted, evaluate_corruptions
from vkd.robustness.corruptions import CORRUPTIONS, LEVELS, Corrupt, corrupt
from vkd.robustness.variants import summarize, table

each = pytest.mark.parametrize('name', CORRUPTIONS)


@pytest.fixture(scope='module')
def scene():
    return draw_scene((0, 2, 5), 120, 160)[0]


def away(a, b):
    return np.abs(a.astype(np.float64) - b).mean()


def test_fifteen_at_five():
    assert len(CORRUPTIONS) == 15 and all(len(levels) == 5 for levels in LEVELS.values())


@each
def test_image_and_seed_decide(name, scene):
    original = scene.copy()
    first = corrupt(scene, name, 3)
    np.random.seed(5), torch.manual_seed(5)
    corrupt(scene[::-1].copy(), name, 2)
    assert np.array_equal(first, corrupt(scene.copy(), name, 3)) and np.array_equal(scene, original)
    assert first.dtype == np.uint8 and first.shape == scene.shape and not np.array_equal(first, scene)
    if name not in ('defocus_blur', 'zoom_blur', 'brightness', 'contrast', 'pixelate', 'jpeg_compression'):  # nothing is drawn in these
        other = scene.copy()
        other[0, 0, 0] ^= 1
        assert not np.array_equal(corrupt(scene, name, 3, seed=1), first) and away(corrupt(other, name, 3), first) > 1
    dark = corrupt(np.zeros((33, 41, 3), np.uint8), name, 5)
    assert dark.shape == (33, 41, 3)


@each
def test_severities_grow(name, scene):
    images = [corrupt(scene, name, s) for s in range(1, 6)]
    likeness = [np.corrcoef(x.ravel(), scene.ravel())[0, 1] for x in images]
    change = [away(x, scene) for x in images]
    assert change[0] > 0.5
    if name in ('snow', 'frost', 'fog'):  # a weather's amount and its structure are strengths of their own
        assert likeness[4] < likeness[0] < 0.95
    else:
        assert change[4] > 1.2 * change[0] and all(b > 0.95 * a for a, b in itertools.pairwise(change))


# -- what each does --------------------------------------------------------------------------------------------------------
def flat(value=128, size=(200, 200)):
    return np.full((*size, 3), value, np.uint8)


def test_noises():
    noise = corrupt(flat(), 'gaussian_noise', 1).astype(float) / 255
    assert noise.std() == pytest.approx(0.08, rel=0.03) and noise.mean() == pytest.approx(128 / 255, abs=0.003)
    shot = corrupt(flat(), 'shot_noise', 2).astype(float) / 255
    assert shot.var() == pytest.approx(128 / 255 / 25, rel=0.1)
    salt = corrupt(flat(), 'impulse_noise', 5)
    assert (
        (salt != 128).mean() == pytest.approx(0.27, abs=0.01)
        and set(np.unique(salt)) == {0, 128, 255}
        and (salt == 255).mean() == pytest.approx(0.135, abs=0.01)
    )


@pytest.mark.parametrize('name', ['defocus_blur', 'glass_blur', 'motion_blur', 'zoom_blur', 'pixelate', 'elastic_transform'])
def test_blurs_keep_what_is_even_and_lose_what_is_fine(name, scene):
    assert np.abs(corrupt(flat(), name, 5).astype(int) - 128).max() <= 1
    fine = [cv2.Laplacian(x, cv2.CV_64F).var() for x in (scene, corrupt(scene, name, 5))]
    assert (
        fine[1] < (0.95 if name == 'elastic_transform' else 0.9) * fine[0]
        or name == 'pixelate'
        and away(corrupt(scene, name, 5), scene) > 3
    )


def test_a_disk_and_a_streak():
    point = np.zeros((61, 61, 3), np.uint8)
    point[30, 30] = 255
    disk = corrupt(point, 'defocus_blur', 1)[..., 0] > 0
    rows, columns = np.nonzero(disk)
    assert rows.max() - rows.min() == columns.max() - columns.min() == 6  # a radius of 3
    rows, columns = np.nonzero(corrupt(point, 'motion_blur', 1)[..., 0])
    assert max(np.ptp(rows), np.ptp(columns)) > 3 and len(rows) < 15  # a line, not a disk


def test_light():
    assert corrupt(flat(100), 'brightness', 2)[0, 0].tolist() == [151] * 3  # + 0.2 of 255
    half = flat(100)
    half[:, 100:] = 200
    out = corrupt(half, 'contrast', 1)
    assert out[0, 0, 0] == 130 and out[0, 199, 0] == 170  # 0.4 of what was away from 150
    fog = corrupt(flat(20), 'fog', 3)
    assert fog.std() > 2 and fog.mean() != 20
    assert corrupt(flat(40), 'snow', 3).mean() > 60 and corrupt(flat(40), 'frost', 3).mean() > 45


def test_compression_and_pixels():
    blocks = corrupt(draw_scene((0, 2, 5), 64, 64)[0], 'pixelate', 5)
    assert len(np.unique(blocks.reshape(-1, 3), axis=0)) <= 16 * 16
    assert np.array_equal(blocks[::4, ::4].repeat(4, 0).repeat(4, 1), blocks)


def test_bad_input(scene):
    for ask, match in (
        (lambda: corrupt(scene, 'gausian_noise', 1), 'gaussian_noise'),
        (lambda: corrupt(scene, 'fog', 6), 'severity is 6'),
        (lambda: corrupt(scene.astype(np.float32), 'fog', 1), 'float32'),
        (lambda: Corrupt('mist'), 'mist'),
        (lambda: corrupted(dict(type='X'), 'fog', 1), 'no pipeline'),
    ):
        with pytest.raises(UserError, match=match) as error:
            ask()
        assert '\n' not in str(error.value)


# -- evaluation ------------------------------------------------------------------------------------------------------------
def test_it_stands_behind_the_loading_step_of_every_data_set():
    one = dict(type='A', pipeline=[dict(type='Load'), dict(type='Pack')])
    out = corrupted(dict(type='M', datasets=[dict(one, domain='a'), dict(type='R', dataset=one)]), 'fog', 2, 7)
    want = ['Load', 'vkd.Corrupt', 'Pack']
    assert [s['type'] for s in out['datasets'][0]['pipeline']] == [s['type'] for s in out['datasets'][1]['dataset']['pipeline']] == want
    assert out['datasets'][0]['pipeline'][1] == dict(type='vkd.Corrupt', name='fog', severity=2, seed=7) and len(one['pipeline']) == 2


def test_summary():
    cells = {'clean': dict(mIoU=50.0), 'fog-1': dict(mIoU=40.0), 'fog-2': dict(mIoU=20.0), 'snow-1': dict(mIoU=10.0)}
    found = summarize(cells)
    assert found == dict(clean=50.0, corrupted=20.0, relative=40.0, by_corruption=dict(fog=30.0, snow=10.0))  # each corruption counts once
    text = table({**cells, 'snow-2': dict(mIoU=10.0)})
    assert '| fog | 40.00 | 20.00 | 30.00 | 60.0 % |' in text and '**40.0 %**' in text


def test_an_evaluation_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    cfg = config(dict(type='vkd.Distiller', student=segmentor(8), methods=[]), tmp_path / 'c')
    torch.save(dict(state_dict=build(segmentor(8)).state_dict()), tmp_path / 'x.pth')

    def ask(**more):
        return evaluate_corruptions(
            cfg, tmp_path / 'x.pth', tmp_path / 'out', **{**dict(names=['fog', 'impulse_noise'], severities=[1, 5]), **more}
        )

    import vkd.robustness.variants as module

    asked, real = [], module.evaluate

    def counted(*args):
        asked.append(1)
        if len(asked) == 3:
            raise InterruptedError
        return real(*args)

    monkeypatch.setattr(module, 'evaluate', counted)
    with pytest.raises(InterruptedError):
        ask()
    known = read_json(tmp_path / 'out/corruptions.json')
    assert list(known['cells']) == ['clean', 'fog-1']
    found = ask()
    assert (
        len(asked) == 6
        and list(found['cells']) == ['clean', 'fog-1', 'fog-5', 'impulse_noise-1', 'impulse_noise-5']
        and found['cells']['fog-1'] == known['cells']['fog-1']
    )
    assert (
        found == read_json(tmp_path / 'out/corruptions.json')
        and found['summary'] == summarize(found['cells'])
        and 'of clean' in (tmp_path / 'out/corruptions.md').read_text()
    )
    assert ask() == found and len(asked) == 6
    assert found['cells']['clean']['images'] == 3 and found['cells']['clean'] != found['cells']['impulse_noise-5']
    # made again elsewhere, the numbers are the same
    again = evaluate_corruptions(cfg, tmp_path / 'x.pth', tmp_path / 'again', ['impulse_noise'], [5])
    assert again['cells']['impulse_noise-5'] == found['cells']['impulse_noise-5'] and again['cells']['clean'] == found['cells']['clean']
    for more, match in (
        (dict(seed=1), 'another seed'),
        (dict(names=['mist']), 'mist'),
        (dict(severities=[9]), '9'),
        (dict(names=[]), 'No corruption'),
        (dict(severities=[]), 'no severity'),
    ):
        with pytest.raises(UserError, match=match):
            ask(**more)
    write_json(tmp_path / 'out/corruptions.json', dict(found, checkpoint_sha256='0'))
    with pytest.raises(UserError, match='another checkpoint'):
        ask()
