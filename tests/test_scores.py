"""Scores know their unit, their direction and their digits, and whatever shows or ranks one asks it."""

import re

import pytest
import torch
from helpers.run_folders import signed, write
from mmengine.evaluator import BaseMetric

from vkd import METRICS, UserError
from vkd.evaluation import Score, score_of
from vkd.evaluation.scores import KNOWN, MIOU, PSNR, RMSE, declared_by
from vkd.io.files import read_json, write_json
from vkd.leaderboard import build
from vkd.leaderboard.gains import benefit
from vkd.leaderboard.records import Gain
from vkd.leaderboard.scatter import pareto
from vkd.leaderboard.verify import verify
from vkd.leaderboard.words import gain_head, verdict


@pytest.mark.parametrize(
    'key, unit, higher, digits',
    [
        ('mIoU', '%', True, 2),
        ('mIoU.dusk', '%', True, 2),
        ('cnn/mIoU', '%', True, 2),
        ('mIoU_unseen', '%', True, 3),
        ('hIoU', '%', True, 3),
        ('Set14 PSNR', 'dB', True, 2),
        ('Set5 SSIM', '', True, 4),
        ('head w3000c500 RMSE', 'HU', False, 2),
        ('mIoU under fog, severity 3 (seed 0)', '%', True, 2),
        ('% kept under fog', '', True, 2),
        ('LPIPS', '', False, 4),
    ],
)
def test_what_a_score_is(key, unit, higher, digits):
    found = score_of(key)
    assert (found.name, found.unit, found.higher_is_better, found.digits) == (key, unit, higher, digits)


def test_a_score_that_nobody_knows_is_asked_for():
    with pytest.raises(UserError, match="Nothing says whether more of 'wobble' is better; nearest: .*declare it.*declared_scores"):
        score_of('wobble')
    assert not score_of('wobble', dict(wobble=dict(unit='px', higher_is_better=False, digits=1))).higher_is_better


def test_every_metric_declares_what_it_reports():
    for name, kind in METRICS.module_dict.items():
        if kind.__module__.startswith('vkd.'):
            assert kind.declared_scores and all(KNOWN[s.name] == s for s in kind.declared_scores), name
    with pytest.raises(UserError, match="declared_scores holds 'mIoU'"):
        declared_by([type('Mine', (), dict(declared_scores=('mIoU',)))()])


def test_verdicts_turn_with_the_direction():
    worse, better, open_ = Gain(19.4, 5.0), Gain(-19.4, 5.0), Gain(-3.0, 5.0)
    assert [benefit(g, RMSE) for g in (worse, better, open_)] == [-1, 1, 0] and [benefit(g, PSNR) for g in (worse, better)] == [1, -1]
    assert verdict(worse, RMSE) == 'worse than alone' and verdict(better, RMSE) == 'better than alone'
    assert gain_head(RMSE) == 'gain over alone, HU (less is better)' and gain_head(MIOU) == 'gain over alone, points'
    assert pareto([(1, 5.0), (2, 7.0), (3, 4.0)], best_is_low=True) == [0, 2]


@pytest.fixture
def slices(tmp_path):
    """87.9 HU with a method, 68.5 HU alone."""
    for seed in range(3):
        for method, rmse in (('alone', 68.5), ('GloReDi', 87.9), ('KL', 60.0)):
            own = write(tmp_path / 'runs', method, seed=seed, teacher=None if method == 'alone' else 'dense')
            metrics = read_json(own / 'metrics.json')
            scores = dict(PSNR=100 - rmse, SSIM=0.91234, RMSE=rmse + 0.1 * seed)
            metrics['test'] = dict(images=5, sets={'test w500': dict(images=5, **scores)}, **scores)
            write_json(own / 'metrics.json', metrics)
            signed(own)
    return tmp_path


def test_a_larger_error_is_worse_and_comes_last(slices):
    paths = build(slices / 'runs', slices / 'page', metric='RMSE')
    rows = read_json(paths['json'])['rows']
    assert [r['method'] for r in rows] == ['alone', 'KL', 'GloReDi']
    assert rows[2]['gain']['value'] == pytest.approx(19.4) and rows[1]['gain']['value'] == pytest.approx(-8.5)
    text, page = (open(paths[k], encoding='utf-8').read() for k in ('md', 'html'))
    lines = {line.split('|')[3].strip(): line for line in text.splitlines() if line.startswith('| small')}
    assert 'worse than alone' in lines['GloReDi'] and 'better than alone' in lines['KL'] and 'RMSE on test w500, HU' in text
    assert 'class="bad">+19.40' in page and 'class="good">−8.50' in page
    assert re.search(r'data-v="-19\.[34]', page), 'sorted by what is better'
    assert 'Of 2 gains, 1 is better and 1 worse' in page
    assert verify(slices / 'page', slices / 'runs') == []


def test_digits_are_the_scores(slices):
    text = open(build(slices / 'runs', metric='SSIM')['md'], encoding='utf-8').read()
    assert '| 0.9123\u00a0±\u00a00.0000 |' in text and '| +' not in text.replace('0.0000', ''), 'four digits of SSIM, also in gains'


class Wobble(BaseMetric):
    """A user's own metric, of which less is better."""

    default_prefix = None
    declared_scores = (Score('wobble', 'px', higher_is_better=False, digits=1),)

    def process(self, data_batch, data_samples):
        self.results.append(float(torch.stack([s['pred_sem_seg']['data'].float().mean() for s in data_samples]).mean()))

    def compute_metrics(self, results):
        return dict(wobble=sum(results) / len(results))


def test_a_users_own_metric_carries_its_direction_into_the_table(tmp_path):
    from helpers.configs import config
    from helpers.networks import distiller

    from vkd.runs.run import run

    METRICS.register_module(module=Wobble, force=True)
    for name, methods in (('alone_small_quick_noise', ()), ('kl_small_big_quick_noise', (dict(type='KL'),))):
        for seed in (0, 1):
            cfg = config(distiller(*methods), tmp_path / 'cfg' / name, iters=2, interval=2, randomness=dict(seed=seed))
            cfg.test_evaluator = dict(type='vkd.Wobble')
            run(cfg, tmp_path / 'runs' / f'{name}_{seed}')
    content = read_json(build(tmp_path / 'runs', metric='wobble')['json'])
    assert content['rows'][0]['runs'][0]['scores']['wobble'] == dict(unit='px', higher_is_better=False, digits=1)
    assert content['rows'][1]['gain'].get('withheld') is None and 'wobble, px' in (tmp_path / 'runs/leaderboard.md').read_text()
    assert verify(tmp_path / 'runs') == []
