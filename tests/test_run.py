import fcntl
import json

import numpy as np
import pytest
from helpers import ROOT
from helpers.configs import config
from helpers.errors import fails
from helpers.networks import build, distiller, segmentor

import vkd.runs.run
from vkd import UserError
from vkd.build.config import load_config
from vkd.build.identity import experiment
from vkd.io.files import read_json
from vkd.runs.evaluate import evaluate
from vkd.runs.formats import run_digest
from vkd.runs.run import run


def test_a_run_is_described_and_its_student_can_be_tested_again(tmp_path):
    cfg = config(distiller(dict(type='CWD')), tmp_path / 'cwd_small_big_quick_scenes')
    metrics = run(cfg, tmp_path / 'r')
    facts, state = read_json(tmp_path / 'r/run.json'), read_json(tmp_path / 'r/state.json')
    assert {k: facts[k] for k in ('method', 'student', 'teacher', 'protocol', 'data', 'seed', 'max_iters', 'batch_size')} == dict(
        method='CWD', student='small', teacher='big', protocol='quick', data='scenes', seed=0, max_iters=6, batch_size=2
    )
    assert (
        facts['versions']['torch']
        and facts['hardware']['cores']
        and len(facts['fingerprint']) == 12
        and facts['command'].startswith('vkd train ')
    )
    assert state['state'] == 'done' and state['seconds'] > 0 and read_json(tmp_path / 'r/metrics.json')['test'] == metrics['test']
    assert metrics['test']['images'] == 3 == metrics['val']['images'] and len(metrics['test']['IoU']) == 9
    pictures = np.load(tmp_path / 'r/pictures.npz')
    assert (
        pictures['image'].shape == (3, 160, 240, 3)
        and pictures['truth'].shape == pictures['pred'].shape == (3, 160, 240)
        and pictures['palette'].shape == (9, 3)
    )
    again = evaluate(load_config(tmp_path / 'r/config.py'), tmp_path / 'r/iter_6.pth', tmp_path / 't')
    assert again == metrics['test']
    json.dumps(metrics, allow_nan=False)
    kept = read_json(tmp_path / 'r/metrics.json')
    assert (
        kept['digest'] == run_digest(facts, kept) != run_digest(dict(facts, seed=1), kept)
        and kept['data_sha256']['train'] != kept['data_sha256']['test']
    )
    assert kept['digest'] != run_digest(facts, dict(kept, test=dict(kept['test'], mIoU=kept['test']['mIoU'] + 1e-4)))


def test_scores_of_a_metric_of_mm_are_kept_as_numbers(tmp_path):
    cfg = config(segmentor(8), tmp_path / 'a', iters=2, interval=2)
    cfg.val_evaluator = cfg.test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
    metrics = run(cfg, tmp_path / 'r')
    assert all(isinstance(metrics[part]['mIoU'], float) and 0 <= metrics[part]['mIoU'] <= 100 for part in ('val', 'test'))


def test_a_folder_of_another_config_is_refused(tmp_path):
    run(config(segmentor(8), tmp_path / 'a', iters=2, interval=2), tmp_path / 'r')
    before = (tmp_path / 'r/config.py').read_bytes()
    with fails('other-run', '--work-dir'):
        run(config(segmentor(8), tmp_path / 'b', iters=3, interval=3), tmp_path / 'r')
    assert (tmp_path / 'r/config.py').read_bytes() == before


def test_a_finished_run_is_not_made_again(tmp_path, monkeypatch):
    """Of two suite processes, one may have ended a run after the other looked."""
    made, train = [], vkd.runs.run._train_and_test
    monkeypatch.setattr(vkd.runs.run, '_train_and_test', lambda *args: made.append(1) or train(*args))

    def ask(**more):
        return run(config(segmentor(8), tmp_path / 'a', iters=2, interval=2), tmp_path / 'r', **more)

    assert 'test' not in ask(test=False)
    whole = ask(resume=True)  # the test scores were missing
    assert 'test' in whole and len(made) == 2
    assert ask(resume=True) == whole and ask(resume=True, test=False) == whole and len(made) == 2


def test_starting_anew_in_a_used_folder_is_refused(tmp_path):
    """Else a later --resume would take up the older checkpoints."""

    def ask(name='a', **more):
        return run(config(segmentor(8), tmp_path / name, iters=2, interval=2), tmp_path / 'r', **more)

    first = ask()
    before = {p: p.read_bytes() for p in (tmp_path / 'r').glob('*.json')}
    with fails('run-exists', '--resume.*--work-dir'):
        ask()
    assert {p: p.read_bytes() for p in before} == before and ask(resume=True) == first


def test_a_mended_config_may_start_where_the_broken_one_did(tmp_path):
    broken = config(distiller(dict(type='KL', student='nowhere')), tmp_path / 'kl_a_b_quick_scenes', iters=2, interval=2)
    with pytest.raises(UserError, match='nowhere'):
        run(broken, tmp_path / 'r')
    assert read_json(tmp_path / 'r/state.json')['state'] == 'failed'
    assert 'test' in run(config(distiller(dict(type='KL')), tmp_path / 'kl_a_b_quick_scenes', iters=2, interval=2), tmp_path / 'r')


def test_weights_alone_are_not_resumed(tmp_path):
    import torch

    (tmp_path / 'r').mkdir()
    torch.save(dict(state_dict=build(segmentor(8)).state_dict()), tmp_path / 'r/iter_2.pth')
    with pytest.raises(UserError, match='no state of a run.*load_from'):
        run(config(segmentor(8), tmp_path / 'a'), tmp_path / 'r', resume=True)


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / 'r').mkdir()
    with open(tmp_path / 'r/.lock', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with fails('busy'):
            run(config(segmentor(8), tmp_path / 'a'), tmp_path / 'r')


def test_what_a_file_name_says(tmp_path):
    def of(path):
        return {k: v for k, v in experiment(load_config(ROOT / path)).items() if k not in ('role', 'named_by')}

    assert of('configs/kl/kl_lite0-in1k_lite2-in1k_quick_camvid-240x320.py') == dict(
        method='KL', student='lite0-in1k', teacher='lite2-in1k', protocol='quick', data='camvid-240x320'
    )
    assert of('configs/alone/alone_narrow_quick_demo.py') == dict(
        method='alone', student='narrow', teacher=None, protocol='quick', data='demo'
    )


def test_the_digest_of_a_data_list_does_not_depend_on_where_it_lies(tmp_path):
    from PIL import Image

    from vkd.datasets import UnlabeledImageDataset
    from vkd.runs.provenance import data_digest

    found = []
    for root, names in (('a', 'xy'), ('b', 'xy'), ('c', 'xz')):
        for name in names:
            (tmp_path / root / 'images/day').mkdir(parents=True, exist_ok=True)
            Image.new('RGB', (8, 8)).save(tmp_path / root / f'images/day/{name}.png')
        found.append(data_digest(UnlabeledImageDataset(data_root=str(tmp_path / root / 'images'), pipeline=[])))
    assert found[0] == found[1] != found[2] and len(found[0]) == 64


def test_a_clock_that_is_set_back_gives_no_negative_time(tmp_path, monkeypatch):
    from datetime import datetime, timedelta, timezone

    times = [datetime(2026, 1, 1, tzinfo=timezone.utc) - timedelta(hours=i) for i in range(9)]

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return times.pop(0)

    monkeypatch.setattr(vkd.runs.run, 'datetime', Clock)
    run(config(segmentor(8), tmp_path / 'a', iters=2, interval=2), tmp_path / 'r')
    state = read_json(tmp_path / 'r/state.json')
    assert state['ended'] < state['started'] and state['seconds'] > 0
