"""Restorers through a run, its scores by set, its pictures, and the leaderboard."""

import numpy as np
import pytest
import torch
from helpers.networks import restorer
from helpers.restoration import config, distiller
from mmengine.config import Config
from mmseg.visualization import SegLocalVisualizer

from vkd.io.files import read_json, write_json
from vkd.io.images import write_image
from vkd.leaderboard import build as build_leaderboard
from vkd.leaderboard.illustrations import nearer
from vkd.leaderboard.reading import read_curve
from vkd.leaderboard.records import RunFacts
from vkd.physics.resize import imresize
from vkd.runs.evaluate import evaluate
from vkd.runs.pictures import restored_pictures
from vkd.runs.run import run


def test_runs_become_a_table_with_pictures(tmp_path):
    for name, model in {'alone_imdn_quick_demo': distiller(), 'outputkd_imdn_edsr_quick_demo': distiller('OutputKD')}.items():
        for seed in (0, 1):
            cfg = config(model, tmp_path / 'cfgs' / name, iters=2)
            cfg.randomness = dict(seed=seed)
            SegLocalVisualizer._instance_dict.clear()  # in one process the first run's would write for all
            metrics = run(cfg, tmp_path / f'suite/{name}_seed{seed}')
            assert set(metrics['test']) == {'images', 'PSNR', 'SSIM', 'sets'} and metrics['test']['sets']['demo']['images'] == 3
    assert read_json(tmp_path / 'suite/alone_imdn_quick_demo_seed0/metrics.json')['test']['PSNR'] > 5
    write_json(
        tmp_path / 'suite/profile.json',
        dict(models=dict(imdn=dict(params=1, flops=2, latency_ms=3.0, multiply_adds_720p=40.89e9)), steps={}),
    )
    build_leaderboard(tmp_path / 'suite', metric='PSNR')
    page, table = (tmp_path / 'suite/leaderboard.html').read_text(), (tmp_path / 'suite/leaderboard.md').read_text()
    assert (
        '| PSNR on demo, dB (95 %) | gain over alone, dB (95 %) | verdict |' in table
        and '| step ÷ alone | demo SSIM | G multiply-adds at 1280x720 |' in table
        and '| imdn | edsr | OutputKD | 2 |' in table
    )
    own = next(line for line in table.splitlines() if line.startswith('| imdn | – | alone'))
    assert len(own.split('|')[12].strip().split('.')[1]) == 4 and own.split('|')[13].strip() == '40.89'  # digits of SSIM
    assert page.count('<figcaption>bicubic</figcaption>') == 3 and 'nearer to the truth' in page and 'not counted' not in page
    curve = read_curve(RunFacts('x', 0, 'done', {}, folder=tmp_path / 'suite/outputkd_imdn_edsr_quick_demo_seed0'), 'PSNR')
    assert (
        list(curve['loss']) == [1, 2]
        and list(curve['PSNR']) == [1, 2]
        and curve['PSNR'][2] == pytest.approx(metrics_of(tmp_path, 'val')['PSNR'], abs=1e-4)
        and 'PSNR on validation images' in page
    )
    checkpoint = tmp_path / 'suite/outputkd_imdn_edsr_quick_demo_seed0/iter_2.pth'
    scores = evaluate(config(distiller('OutputKD'), tmp_path / 'again', iters=2), checkpoint, tmp_path / 'again')
    assert scores == read_json(checkpoint.parent / 'metrics.json')['test']


def metrics_of(folder, key):
    return read_json(folder / 'suite/outputkd_imdn_edsr_quick_demo_seed0/metrics.json')[key]


class Same:
    """Gives the truth back."""

    def eval(self):
        pass

    def test_step(self, batch):
        for sample in batch['data_samples']:
            sample.set_data(dict(pred_img=sample.gt_img / 255))
        return batch['data_samples']


def test_pictures_show_where_the_detail_is(tmp_path):
    from vkd.datasets import BasicImageDataset, LoadImageFromFile, MATLABLikeResize, PackInputs

    flat = np.full((128, 192, 3), 90, np.uint8)
    flat[70:120, 130:180] = np.random.default_rng(0).integers(0, 255, (50, 50, 3))
    write_image(tmp_path / 'HR/a.png', flat)
    data = BasicImageDataset(str(tmp_path), pipeline=[LoadImageFromFile('gt'), MATLABLikeResize(), PackInputs()])
    found = restored_pictures(data, Same(), count=3, width=128, side=64)
    assert {k: v.shape for k, v in found.items()} == dict.fromkeys(('image', 'truth', 'pred'), (1, 128, 128, 3))
    assert np.array_equal(found['truth'], found['pred']) and np.array_equal(found['truth'][0, ::2, ::2], flat[64:128, 128:192])
    up = imresize(imresize(flat, 1 / 4).astype(np.float32), 4)
    assert np.abs(found['image'][0, ::2, ::2] - up[64:128, 128:192].clip(0, 255)).max() <= 0.51
    alone = BasicImageDataset(str(tmp_path), data_prefix=dict(img='HR'), pipeline=[LoadImageFromFile('img'), PackInputs()])
    assert restored_pictures(alone, Same()) is None


def test_nearer():
    truth = np.full((1, 2, 2, 3), 100, np.uint8)
    alone, distilled = truth.copy(), truth.copy()
    alone[0, 0, 0], distilled[0, 1, 1], alone[0, 0, 1] = 120, 90, 101
    assert nearer(dict(truth=truth, pred=alone), dict(pred=distilled)).tolist() == [[[[0, 114, 178], [128] * 3], [[128] * 3, [213, 94, 0]]]]


def test_x4_that_started_from_x2_is_tested_without_it(tmp_path):
    model = dict(type='vkd.Distiller', student=dict(model=restorer(), checkpoint=str(tmp_path / 'gone.pth'), strict=False), methods=[])
    cfg = config(model, tmp_path / 'cfgs/x')
    from helpers.networks import build

    torch.save(dict(state_dict=build(restorer()).state_dict()), tmp_path / 'official.pth')
    scores = evaluate(Config.fromfile(cfg.filename), tmp_path / 'official.pth', tmp_path / 'test')
    assert scores['images'] == 3 and scores['PSNR'] == pytest.approx(scores['sets']['demo']['PSNR'])


def test_benchmark(capsys):
    """Small; the memory of tiles, which needs processes of its own, is left to the tool."""
    from vkd.benchmarks import restoration
    from vkd.io.console import console

    found = dict(
        steps=restoration._steps(1, 'cpu', 1, 16, 2),
        resize=restoration._resize(1, (32, 48), 4),
        evaluation=restoration._evaluation(1, 'cpu', 1, (64, 64), 4),
        tiles=dict(rows=[dict(side=9, memory_mib=10.0, image_mib=1.0), dict(side=99, memory_mib=12.0, image_mib=2.0)], ratio=1.2),
    )
    assert [r['method'] for r in found['steps']['rows']] == list(restoration.METHODS) and all(
        r['ratio'] > 0 for r in found['steps']['rows']
    )
    assert found['resize']['seconds']['vkd'] > 0 and 0 < found['evaluation']['share'] < 1
    restoration.show(console(), found)
    shown = capsys.readouterr().out
    assert 'OutputKD' in shown and '1.1: missed' in ' '.join(shown.split())
