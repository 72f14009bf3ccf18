"""Options that are chosen by trials: which are tried and chosen, and that nothing but the trials' scores decides it."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.cases import method
from helpers.configs import config
from helpers.networks import distiller, segmentor
from helpers.suites import start

import vkd.runs.run
from vkd import UserError
from vkd.evaluation.scores import score_of
from vkd.io.files import read_json
from vkd.runs.cells import read_suite, status
from vkd.runs.jobs import BUSY, Slurm, run_cell
from vkd.runs.run import Busy, locked
from vkd.runs.suite import _told, run_cells
from vkd.runs.tuning import best_of, points

LR = 'optim_wrapper.optimizer.lr'
SUITE = '''
teachers = dict(big=dict(config='{folder}/alone_big_quick_scenes.py'))
runs = [dict(method='alone', student='small', config='{folder}/alone_small_quick_scenes.py', seeds=[0, 1], budgets=[1, 1.5],
             tune=dict(space={{'optim_wrapper.optimizer.lr': [1e-3, 3e-3, 1e-2]}}, trials={trials})),
        dict(method='KL', student='small', teacher='big', config='{folder}/kl_small_big_quick_scenes.py', seeds=[0], control='cannot help',
             tune=dict(space={{'optim_wrapper.optimizer.lr': [1e-3, 1e-2], 'model.methods.0.tau': [1., 4.]}}, trials=4, seed=7))]
'''


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Configs of 12 iterations, of the runs of a tuned suite."""
    folder = tmp_path_factory.mktemp('tuned')
    more = dict(iters=12, interval=6)
    config(dict(distiller(), teacher=None, student=segmentor(16)), folder / 'alone_big_quick_scenes', **more)
    config(dict(distiller(), teacher=None), folder / 'alone_small_quick_scenes', **more)
    config(distiller(method('KL'), teacher=dict(model=segmentor(16))), folder / 'kl_small_big_quick_scenes', **more)
    return folder


@pytest.fixture
def suite(folder, tmp_path):
    """A function that writes the suite, with changes ``(old, new)`` of its text."""

    def write(*changes, trials=3):
        text = SUITE.format(folder=folder, trials=trials)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / 'tuned.py').write_text(text)
        return tmp_path / 'tuned.py'

    return write


@pytest.fixture
def drawn(monkeypatch):
    """Training takes no time: ``scores``, ``{(learning rate, tau): validation mIoU}``, says what it would have led to; an exception is
    raised instead.
    """
    scores = {(1e-3, None): 40.0, (3e-3, None): 42.0, (1e-2, None): 41.0}
    scores.update({(1e-3, 1.0): 50.0, (1e-3, 4.0): 52.0, (1e-2, 1.0): 51.0, (1e-2, 4.0): 52.0})

    def train(cfg, own, resume, launcher, test):
        methods = cfg.model.methods
        score = scores[cfg.optim_wrapper.optimizer.lr, methods[0].get('tau') if methods else None] if test is False else 60.0
        if isinstance(score, BaseException):
            raise score
        return dict(data_sha256={}, val=dict(mIoU=score), **(dict(test=dict(mIoU=score)) if test else {})), None

    monkeypatch.setattr(vkd.runs.run, '_train_and_test', train)
    return scores


class Here:
    """Runs cells one after the other, in this process; one of ``killed`` dies without a word."""

    patience = 0

    def __init__(self, folder, jobs=3, killed=()):
        self.folder, self.jobs, self.killed, self.started = folder, jobs, killed, []

    def start(self, cells):
        return [self._run(cell) for cell in cells]

    def _run(self, cell):
        self.started.append(cell.name)
        if cell.name in self.killed:
            return -9
        try:
            run_cell(cell, self.folder, log=False)
        except Busy:
            return BUSY
        except UserError:
            return 1
        return 0

    def finished(self, code):
        return code


def go(path, work, **more):
    """``(names of failed cells, names of started ones, what was said, cells by name)`` of one start of a suite."""
    suite, cells = read_suite(path, work)
    engine, said = Here(work, **more), []
    failed = run_cells(cells, work, engine, 0, said.append, suite.main_metric)
    return failed, engine.started, said, {cell.name: cell for cell in cells}


ALONE = [f'trial_alone_small_quick_scenes_{k}_seed100' for k in range(3)]
KL = [f'trial_kl_small_big_quick_scenes_{k}_seed7' for k in range(4)]
RUNS = [f'alone_small_quick_scenes_{part}seed{seed}' for seed in (0, 1) for part in ('', 'x1.5_')]


# -- what is tried, and which is the best -------------------------------------------------------------------------------------
def test_the_whole_grid_where_it_is_small():
    space = {'a': [1, 2], 'b': ['x', 'y']}
    want = [dict(a=1, b='x'), dict(a=1, b='y'), dict(a=2, b='x'), dict(a=2, b='y')]
    assert points(space, 4, 0) == points(space, 9, 5) == want


def test_distinct_points_of_a_larger_grid_follow_from_the_seed_alone():
    space = {'a': list(range(10)), 'b': list(range(10)), 'c': [0.1, 0.2]}
    np.random.seed(0)
    first = points(space, 12, 100)
    np.random.seed(1)
    assert points(space, 12, 100) == first != points(space, 12, 101)
    assert len({json.dumps(point) for point in first}) == 12 and all(point['a'] in space['a'] for point in first)
    # a grid of which no list can be made
    assert len(points({str(i): list(range(100)) for i in range(6)}, 3, 0)) == 3


@pytest.mark.parametrize(
    'scores, metric, want',
    [
        ([1.0, 3.0, 2.0], 'mIoU', 1),
        ([1.0, 3.0, 2.0], 'RMSE', 0),
        ([2.0, 3.0, 3.0], 'PSNR', 1),
        ([None, 0.5, None], 'SSIM', 1),
        ([None, 9.0, 9.0], 'RMSE', 1),
        ([None, None], 'hIoU', None),
    ],
)
def test_the_best_is_the_first_of_equals_and_none_is_worst(scores, metric, want):
    assert best_of(scores, score_of(metric)) == want


def test_a_line_of_a_cell_has_the_digits_of_its_score():
    metrics = dict(val=dict(mIoU=41.238, SSIM=0.91234, own=3.456), scores=dict(own=dict(digits=1)))
    assert [_told(name, metrics, 'val') for name in ('mIoU', 'SSIM', 'own', 'PSNR')] == [['mIoU 41.24'], ['SSIM 0.9123'], ['own 3.5'], []]


# -- a suite ------------------------------------------------------------------------------------------------------------------
def test_trials_are_cells_and_what_they_choose_is_in_the_facts(suite, drawn, tmp_path):
    work = tmp_path / 'w'
    failed, started, said, cells = go(suite(), work)
    assert failed == [] and set(started) == set(cells) == {
        *ALONE,
        *KL,
        *RUNS,
        'teacher_big_quick_scenes_seed0',
        'kl_small_big_quick_scenes_seed0',
    }
    # a teacher before the trials that need it, trials before what they choose for, and all of them before any student
    assert started.index('teacher_big_quick_scenes_seed0') < min(map(started.index, KL)) < started.index('kl_small_big_quick_scenes_seed0')
    assert max(map(started.index, ALONE)) < min(map(started.index, RUNS))
    facts = read_json(work / RUNS[1] / 'run.json')
    assert facts['tuning'] == dict(
        space={LR: [1e-3, 3e-3, 1e-2]},
        trials=3,
        seed=100,
        metric='mIoU',
        chosen={LR: 3e-3},
        scores=[dict(options={LR: lr}, score=s, run=n) for lr, s, n in zip((1e-3, 3e-3, 1e-2), (40.0, 42.0, 41.0), ALONE, strict=True)],
    )
    assert (
        facts['role'] == 'student'
        and facts['budget'] == 1.5
        and f'{LR}=0.003' in facts['command']
        and 'train_cfg.max_iters=18' in facts['command']
    )
    # of two equal ones the earlier
    tied = read_json(work / 'kl_small_big_quick_scenes_seed0/run.json')
    assert tied['tuning']['chosen'] == {LR: 1e-3, 'model.methods.0.tau': 4.0} and tied['control'] == 'cannot help'
    # a trial is judged by validation images alone
    trial = read_json(work / KL[1] / 'run.json')
    assert (trial['role'], trial['method'], trial['seed']) == ('trial', 'KL', 7) and 'tuning' not in trial
    assert set(read_json(work / KL[1] / 'metrics.json')) >= {'val'} and 'test' not in read_json(work / KL[1] / 'metrics.json')
    assert cells[RUNS[0]].load().optim_wrapper.optimizer.lr == 3e-3 and cells[RUNS[1]].load().train_cfg.max_iters == 18
    assert any(line.endswith(f'{ALONE[1]}: mIoU 42.00') for line in said) and any('chosen by 3 trials' in line for line in said)
    again = go(suite(), work)
    assert again[:2] == ([], []) and again[2][0] == '13 of 13 are done already'


def test_fewer_trials_than_points(suite, drawn, tmp_path):
    _, started, _, cells = go(suite(trials=2), tmp_path / 'w')
    assert ALONE[2] not in cells and len([n for n in started if n.startswith('trial_alone')]) == 2
    assert read_json(tmp_path / 'w' / RUNS[0] / 'run.json')['tuning']['trials'] == 2


def test_a_failed_trial_counts_as_worst_and_is_recorded(suite, drawn, tmp_path):
    drawn[3e-3, None], drawn[1e-2, None] = UserError("Loss term 'loss' is nan at iteration 2."), float('nan')
    work = tmp_path / 'w'
    failed, _, said, cells = go(suite(), work)
    assert failed == [] and any(line == f"{ALONE[1]} failed: Loss term 'loss' is nan at iteration 2." for line in said)
    known = read_json(work / RUNS[0] / 'run.json')['tuning']
    assert known['chosen'] == {LR: 1e-3} and [t['score'] for t in known['scores']] == [40.0, None, None]
    assert status(work, cells[ALONE[1]]) == 'failed'
    # the choice stands, whatever that trial would say today: it is not run again
    drawn[3e-3, None] = 99.0
    failed, started, _, _ = go(suite(('[0, 1]', '[0, 1, 2]')), work)
    assert failed == [] and sorted(started) == ['alone_small_quick_scenes_seed2', 'alone_small_quick_scenes_x1.5_seed2']
    assert read_json(work / started[0] / 'run.json')['tuning'] == known


def test_where_all_trials_fail_the_row_does(suite, drawn, tmp_path):
    for lr in (1e-3, 3e-3, 1e-2):
        drawn[lr, None] = UserError('The sky fell.')
    work = tmp_path / 'w'
    failed, started, _, _ = go(suite(), work)
    assert sorted(failed) == sorted(RUNS) and 'kl_small_big_quick_scenes_seed0' in started  # the other row goes on
    told = read_json(work / RUNS[0] / 'state.json')['lines'][-1]
    assert told == f'none of its 3 trials has a mIoU of validation images to choose by; {ALONE[0]} failed: The sky fell.'
    drawn[1e-2, None] = 41.0  # nothing was chosen, so the next start tries again
    failed, started, _, _ = go(suite(), work)
    assert failed == [] and set(started) == {*ALONE, *RUNS}


def test_a_metric_that_the_validation_set_has_not(suite, drawn, tmp_path):
    failed, _, _, _ = go(suite(('trials=3', "trials=3, metric='hIoU'")), tmp_path / 'w')
    told = read_json(tmp_path / 'w' / RUNS[0] / 'state.json')['lines'][-1]
    assert sorted(failed) == sorted(RUNS) and told.endswith(
        f'a hIoU of validation images to choose by; {ALONE[0]} has none in metrics.json'
    )


def test_a_failed_teacher_fails_its_trials_and_their_row(suite, drawn, tmp_path):
    work = tmp_path / 'w'
    failed, started, _, _ = go(suite(), work, killed=['teacher_big_quick_scenes_seed0'])
    assert failed[0] == 'teacher_big_quick_scenes_seed0' and 'kl_small_big_quick_scenes_seed0' in failed and not set(KL) & set(started)
    assert 'its teacher teacher_big' in read_json(work / KL[0] / 'state.json')['lines'][-1]
    assert go(suite(), work)[0] == []


def test_a_trial_that_was_killed_is_no_result(suite, drawn, tmp_path):
    """A preempted job says nothing of its options: the choice waits for it."""
    work = tmp_path / 'w'
    failed, _, _, _ = go(suite(), work, killed=[ALONE[1]])
    told = read_json(work / RUNS[0] / 'state.json')['lines'][-1]
    assert sorted(failed) == sorted(RUNS) and f'its trial {ALONE[1]} did not end (' in told and told.endswith('start the suite again')
    failed, started, _, _ = go(suite(), work)
    assert failed == [] and started[0] == ALONE[1] and read_json(work / RUNS[0] / 'run.json')['tuning']['chosen'] == {LR: 3e-3}


@pytest.mark.slow
def test_two_processes_make_one_choice(suite, drawn, tmp_path):
    """The other one chose first, when its own trial had failed; and while it chooses, this one waits."""
    work = tmp_path / 'w'
    _, cells = read_suite(suite(), work)
    cells = [c for c in cells if 'alone_small' in c.name]
    tuning = cells[-1].tuning
    engine = Here(work)
    assert run_cells([c for c in cells if c.role == 'trial'], work, engine, 0, lambda line: None) == []
    with locked(work / 'choices'):
        assert tuning.choose(work) is None and tuning.choice() is None
    assert tuning.choose(work) is True and tuning.choice()['chosen'] == {LR: 3e-3}
    kept = tuning.file.read_text()
    (work / ALONE[1] / 'metrics.json').unlink()
    assert tuning.choose(work) is True and tuning.file.read_text() == kept
    assert run_cells(cells, work, engine, 0, lambda line: None) == [] and engine.started == [*ALONE, *RUNS]


def test_options_that_were_chosen_otherwise_are_refused(suite, drawn, tmp_path):
    drawn[3e-3, None] = UserError('The disk was full.')
    work = tmp_path / 'w'
    assert go(suite(), work)[0] == []
    for file in (work / 'choices').glob('alone*'):
        file.unlink()
    drawn[3e-3, None] = 42.0
    failed, started, said, _ = go(suite(), work)
    assert sorted(failed) == sorted(RUNS) and started == [ALONE[1]]
    assert f'{RUNS[0]} failed: it was trained with other options than its trials now choose; remove {work / RUNS[0]}' in said
    assert read_json(work / RUNS[0] / 'state.json')['state'] == 'done'  # its folder stays as it is


def test_what_makes_a_tuned_cell_stale(suite, drawn, tmp_path):
    def prints(path, work):
        return {c.name: c.fingerprint for c in read_suite(path, work)[1]}

    first = prints(suite(), tmp_path / 'w')
    assert prints(suite(), tmp_path / 'elsewhere') == first
    go(suite(), tmp_path / 'w')
    assert prints(suite(), tmp_path / 'w') == first  # a choice changes nothing
    alone = {n for n in first if 'alone_small' in n}
    for change in (
        ('1e-2]}}', '2e-2]}}'),
        ('trials=3', "trials=3, metric='hIoU'"),
        ('trials=3', 'trials=4'),
        ('trials=3', 'trials=3, seed=5'),
    ):
        other = prints(suite(tuple(part.replace('}}', '}') for part in change)), tmp_path / 'w')
        assert {n for n in first if n in other and first[n] != other[n]} >= set(RUNS), change
        assert {n for n in first if n not in other or first[n] != other[n]} <= alone, change
    # without trials it is the cell that it always was; another teacher makes its trials and students other ones
    plain = prints(
        suite((",\n             tune=dict(space={'optim_wrapper.optimizer.lr': [1e-3, 3e-3, 1e-2]}, trials=3)", '')), tmp_path / 'w'
    )
    assert not set(ALONE) & set(plain) and all(plain[n] != first[n] for n in RUNS)
    taught = prints(suite(("alone_big_quick_scenes.py'", "alone_big_quick_scenes.py', seed=3")), tmp_path / 'w')
    assert {n for n in taught if first.get(n) != taught[n]} == {*KL, 'kl_small_big_quick_scenes_seed0', 'teacher_big_quick_scenes_seed3'}


def test_stages_are_run_for_the_seed_of_the_trials(suite, folder, tmp_path):
    row = f"dict(method='alone', label='staged', student='small', config='{folder}/alone_small_quick_scenes.py', seeds=[0]"
    after = "after={'model.student.init_cfg': 'first'}, part_of_method=['model.student.backbone.drop_rate']"
    (tmp_path / 'staged.py').write_text(
        f"stages = dict(first=dict(config='{folder}/alone_small_quick_scenes.py'))\n"
        f"runs = [{row}, {after}, tune=dict(space={{'{LR}': [1e-3, 1e-2]}}, trials=2))]"
    )
    cells = {c.name: c for c in read_suite(tmp_path / 'staged.py', tmp_path / 'w')[1]}
    assert list(cells) == [
        'stage_first_quick_scenes_seed100',
        *[f'trial_staged_small_quick_scenes_{k}_seed100' for k in range(2)],
        'stage_first_quick_scenes_seed0',
        'staged_small_quick_scenes_seed0',
    ]
    assert cells['trial_staged_small_quick_scenes_1_seed100'].before == ('stage_first_quick_scenes_seed100',)
    # what a stage has trained is the method's by design, and what the row says
    told = cells['staged_small_quick_scenes_seed0'].facts
    assert cells['staged_small_quick_scenes_seed0'].info['part_of_method'] == ['model.student.init_cfg', 'model.student.backbone.drop_rate']
    with pytest.raises(UserError, match='the trials that choose options are not over; run vkd suite first'):
        cells['staged_small_quick_scenes_seed0'].load()
    assert told()['tuning'] is None


@pytest.mark.slow
def test_killed_in_the_middle_of_tuning_it_chooses_the_same_and_tries_each_once(suite, tmp_path):
    """Real training: the whole group is killed when one trial is done and another has a checkpoint; then the scheduler alone, when a choice
    is made; after that it ends, and a third start finds nothing to do.
    """
    path, work = suite(('[0, 1]', '[0]'), trials=2), tmp_path / 'w'

    def some_trial_is_done_and_another_has_begun():
        states = [read_json(p)['state'] for p in work.glob('trial_*/state.json')]
        return 'done' in states and 'running' in states

    def one_choice_is_made():
        return list(work.glob('choices/alone*.json'))

    def trained(own):
        return (own / 'metrics.json').stat().st_mtime_ns, sorted(p.name for p in own.glob('20*'))

    ended = {}
    for moment, kill in ((some_trial_is_done_and_another_has_begun, os.killpg), (one_choice_is_made, os.kill)):
        process = start(path, work)
        limit = time.monotonic() + 200
        while not moment() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.02)
        assert moment(), process.stdout.read()
        kill(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(1)  # workers whose scheduler died notice it
        for state in work.glob('trial_*/state.json'):
            if read_json(state)['state'] == 'done':
                ended.setdefault(state.parent, trained(state.parent))
    made = one_choice_is_made()[0].read_text()
    process = start(path, work)
    text = process.communicate(timeout=300)[0]
    assert process.returncode == 0, text
    assert one_choice_is_made()[0].read_text() == made
    # what had ended was not run again
    assert ended and {own: trained(own) for own in ended} == ended
    for row, trials in (('alone_small_quick_scenes_seed0', ALONE[:2]), ('kl_small_big_quick_scenes_seed0', KL)):
        facts, scores = read_json(work / row / 'run.json'), [read_json(work / name / 'metrics.json')['val']['mIoU'] for name in trials]
        known = facts['tuning']
        assert [t['score'] for t in known['scores']] == scores and known['chosen'] == known['scores'][int(np.argmax(scores))]['options']
        assert f'{LR}={known["chosen"][LR]}' in facts['command']
        rate = next(line for line in Path(work, row, 'config.py').read_text().splitlines() if 'lr=' in line)
        assert f'lr={known["chosen"][LR]}' in rate.replace('1e-3', '0.001'), rate
    longer = read_json(work / 'alone_small_quick_scenes_x1.5_seed0/run.json')
    assert longer['max_iters'] == 18 and longer['budget'] == 1.5 and longer['tuning']['chosen'] == json.loads(made)['chosen']
    assert read_json(work / 'kl_small_big_quick_scenes_seed0/run.json')['control'] == 'cannot help'
    again = start(path, work)
    text = again.communicate(timeout=120)[0]
    assert again.returncode == 0 and '10 of 10 are done already' in text and one_choice_is_made()[0].read_text() == made, text


@pytest.mark.slow
def test_trials_are_jobs_of_a_cluster_too(suite, tmp_path):
    """With submitit's own stand-in for one: the jobs after the trials load what was chosen."""
    path, work = suite(('[0, 1]', '[0]'), ('[1, 1.5]', '[1]'), trials=2), tmp_path / 'w'
    cells = [c for c in read_suite(path, work)[1] if 'alone_small' in c.name]
    said = []
    assert run_cells(cells, work, Slurm(work, cluster='local'), 0.2, said.append) == [], said
    facts = read_json(work / 'alone_small_quick_scenes_seed0/run.json')
    assert facts['tuning']['chosen'] == json.loads(next(work.glob('choices/*.json')).read_text())['chosen'] and len(cells) == 3
    assert all(status(work, c) == 'done' for c in cells)
