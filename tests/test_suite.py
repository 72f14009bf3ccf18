import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import ROOT, config, distiller, method, segmentor

from vkd import UserError
from vkd.files import read_json, write_json
from vkd.cells import iterations, read_suite, status
from vkd.jobs import Local, Slurm
from vkd.suite import run_cells, run_suite

SUITE = '''
title = 'Tiny'
teachers = dict(big=dict(config='{folder}/alone_big_quick_scenes.py'))
runs = [dict(method='alone', student='small', config='{folder}/alone_small_quick_scenes.py', seeds=[0, 1]),
        dict(method='KL', student='small', teacher='big', config='{folder}/kl_small_big_quick_scenes.py', seeds=[0, 1]),
        {more}]
'''
BROKEN = "dict(method='CWD', student='small', teacher='big', config='{folder}/cwd_small_big_quick_scenes.py', seeds=[0], options={{'model.methods.0.loss_weight': 1e38}})"


@pytest.fixture(scope='module')
def suite(tmp_path_factory):
    """A suite of six runs of 24 iterations: a teacher, two alone, two distilled, one that fails."""
    folder = tmp_path_factory.mktemp('suite')
    more = dict(iters=24, interval=6)
    config(dict(distiller(), teacher=None, student=segmentor(16)), folder / 'alone_big_quick_scenes', **more)
    config(dict(distiller(), teacher=None), folder / 'alone_small_quick_scenes', **more)
    for name in ('KL', 'CWD'):
        config(distiller(method(name), teacher=dict(model=segmentor(16))), folder / f'{name.lower()}_small_big_quick_scenes', **more)
    path = folder / 'tiny.py'
    path.write_text(SUITE.format(folder=folder, more=BROKEN.format(folder=folder)))
    return path


def start(path, work_dir):
    return subprocess.Popen(
        [sys.executable, str(ROOT / 'tools/suite.py'), str(path), '--work-dir', str(work_dir), '--jobs', '2'],
        cwd=ROOT,
        text=True,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
    )


def result(work_dir):
    """What must be the same however often a suite was cut short."""
    rows = read_json(Path(work_dir) / 'leaderboard.json')['rows']
    kept = ('student', 'teacher', 'method', 'seeds', 'values', 'mean', 'interval', 'gain', 'gain_interval', 'per_class', 'failed')
    return sorted((json.dumps({k: r[k] for k in kept}) for r in rows))


def test_killed_three_times_it_ends_in_the_table_of_an_undisturbed_one(suite, tmp_path):
    """kill -9 of the whole group, and once of the scheduler alone, in the teacher, in a distilled run, and late; beside it, two processes
    on one suite.
    """
    work = tmp_path / 'killed'
    whole = [start(suite, tmp_path / 'whole') for _ in range(2)]  # two processes share the undisturbed suite

    def teacher_has_begun():
        return list(work.glob('teacher_*/iter_6.pth'))

    def a_distilled_run_has_begun():
        return list(work.glob('kl_*/iter_6.pth'))

    def late():
        return sum('"done"' in p.read_text() for p in work.glob('*/state.json')) >= 4

    for moment, group in ((teacher_has_begun, True), (a_distilled_run_has_begun, False), (late, True)):
        process = start(suite, work)
        limit = time.monotonic() + 120
        while not moment() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.02)
        assert moment(), process.stdout.read()
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
    last = start(suite, work)
    text = last.communicate(timeout=240)[0]
    assert last.returncode == 1 and text.rstrip().splitlines()[-1] == str(work / 'leaderboard.html'), text
    for process in whole:
        text = process.communicate(timeout=240)[0]
        assert process.returncode == 1 and text.rstrip().splitlines()[-1] == str(tmp_path / 'whole/leaderboard.html'), text
    assert result(work) == result(tmp_path / 'whole')
    rows = {(r['method'], r['student']): r for r in read_json(work / 'leaderboard.json')['rows']}
    assert (
        len(rows['KL', 'small']['values']) == 2
        and rows['KL', 'small']['gain'] is not None
        and rows['KL', 'small']['step'] > 0
        and rows['alone', 'small']['params'] > 0
    )
    # a failed cell does not stop the others and is shown as failed
    broken = rows['CWD', 'small']
    assert (
        broken['failed'] and 'is nan at iteration' in broken['runs'][0]['lines'][0] and 'failed' in (work / 'leaderboard.html').read_text()
    )
    # two processes: each finished cell was trained once
    for state in (tmp_path / 'whole').glob('*/state.json'):
        if read_json(state)['state'] == 'done':
            assert len([p for p in state.parent.iterdir() if p.is_dir() and p.name[:2] == '20']) == 1, state.parent
    # each run says how to make it again, and is an ordinary run folder
    run = read_json(next((tmp_path / 'whole').glob('kl_*seed1/run.json')))
    assert (
        run['seed'] == 1
        and f'model.teacher.checkpoint={tmp_path}/whole/teacher_big_quick_scenes_seed0/iter_24.pth' in run['command']
        and run['teacher'] == 'big'
    )
    assert iterations(next((tmp_path / 'whole').glob('kl_*seed1'))) == 24


def test_the_command_of_a_run_makes_it_again(suite, tmp_path):
    path = suite.parent / 'one.py'
    path.write_text(f"runs = [dict(method='alone', student='small', config='{suite.parent}/alone_small_quick_scenes.py', seeds=[3])]")
    _, cells = read_suite(path, tmp_path / 'w')
    engine = Slurm(tmp_path / 'w', cluster='local')  # submitit's own stand-in for a cluster
    said = []
    assert run_cells(cells, tmp_path / 'w', engine, 0.2, said.append) == [] and status(tmp_path / 'w', cells[0]) == 'done', said
    command = read_json(tmp_path / 'w' / cells[0].name / 'run.json')['command'].split()
    command[command.index('--work-dir') + 1] = str(tmp_path / 'again')
    subprocess.run(
        [sys.executable, *command[1:]],
        cwd=ROOT,
        check=True,
        capture_output=True,
        env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'),
    )
    first, second = (read_json(folder / 'metrics.json') for folder in (tmp_path / 'w' / cells[0].name, tmp_path / 'again'))
    assert first.pop('digest') != second.pop('digest') and first == second, (
        'scores and data are the same; folder and command, of which the digest is too, are not'
    )


SBATCH = '''#!/bin/sh
cat "$1" >> {folder}/submitted
echo Submitted batch job $(grep -c '^#SBATCH --job-name' {folder}/submitted)
'''


def test_on_slurm_what_is_ready_at_once_is_one_array(suite, tmp_path, monkeypatch):
    """With a stand-in for ``sbatch``, which keeps what it is given."""
    for name, text in dict(sbatch=SBATCH.format(folder=tmp_path), srun='#!/bin/sh\n', sacct='#!/bin/sh\n').items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    _, cells = read_suite(suite, tmp_path / 'w')
    engine = Slurm(tmp_path / 'w', options=dict(slurm_partition='gpu', gpus_per_node=1, timeout_min=240, slurm_array_parallelism=2))
    ready = [c for c in cells if not c.before]
    jobs = engine.start(ready)
    assert [job.job_id for job in jobs] == ['1_0', '1_1', '1_2'] and {c.info['role'] for c in ready} == {'teacher', 'student'}
    text = (tmp_path / 'submitted').read_text()
    assert '--array=0-2%2' in text and '--partition=gpu' in text and '--gpus-per-node=1' in text and '--time=240' in text
    assert all(engine.finished(job) is None for job in jobs)


@pytest.mark.parametrize(
    'more, told',
    [
        ("dict(method='KLL', student='small', teacher='big', config='{folder}/kl_small_big_quick_scenes.py', seeds=[0])", "'KL'"),
        ("dict(method='KL', student='small', teacher='big', config='{folder}/kl_small_big_quick_scenes.py', seeds=[4, 4])", 'twice'),
        ("dict(method='KL', student='small', teacher='big', config='{folder}/kl_small_big_quick_scenes.py', seeds=[0])", 'comes twice'),
        (
            "dict(method='CWD', student='small', teacher='big', config='{folder}/kl_small_big_quick_scenes.py', seeds=[5])",
            "not method 'CWD'",
        ),
        ("dict(method='KL', student='small', teacher='big', config='{folder}/{{method/x.py', seeds=[5])", 'cannot be filled in'),
        ("dict(method='KL', student='small', teacher='big', config='{folder}/{{method.x}}.py', seeds=[5])", 'cannot be filled in'),
        ("dict(method='KL', student='small', teacher='bigg', config='{folder}/kl_small_big_quick_scenes.py', seeds=[5])", "'big'"),
        (
            "dict(method='KL', student='small', teacher='big', config='{folder}/kl_small_big_quick_scene.py', seeds=[5])",
            'kl_small_big_quick_scenes.py',
        ),
        ("dict(method='KL', student='small', teacher='big', config='{folder}/{{methods}}.py', seeds=[5])", 'methods'),
        ("dict(method='alone', student='small', config='{folder}/kl_small_big_quick_scenes.py', seeds=[5])", "not method 'alone'"),
        (
            "dict(method='KL', student='small', teacher='big', config='{folder}/kl_small_big_quick_scenes.py', seeds=3)",
            'list of whole numbers',
        ),
        (
            "dict(method='KL', student='small', teacher='big', config='{folder}/kl_small_big_quick_scenes.py', seeds=[])",
            'list of whole numbers',
        ),
        (
            "dict(method='KL', student='small', teacher='big', peer='big', config='{folder}/kl_small_big_quick_scenes.py', seeds=[5])",
            'keep one',
        ),
        ("'KL'", 'a list of'),
        ("dict(method='KL', student='small', teacher='big', seed=[5])", "'seeds'"),
        ("dict(method='KL', student='small', seeds=[5])", "'config'"),
    ],
)
def test_a_wrong_suite_is_one_sentence_before_anything_runs(suite, tmp_path, more, told):
    path = tmp_path / 'wrong.py'
    path.write_text(SUITE.format(folder=suite.parent, more=more.format(folder=suite.parent)))
    with pytest.raises(UserError) as error:
        read_suite(path, tmp_path / 'w')
    assert told in str(error.value) and 'wrong.py' in str(error.value) and '\n' not in str(error.value) and not (tmp_path / 'w').exists()


@pytest.mark.parametrize(
    'text, told',
    [
        ("teachers = dict(big='x.py')", "dict(config=path"),
        ("teachers = dict(big=dict(seed=1))", 'dict(config=path'),
        ("teachers = dict(big=dict(config='x.py', sed=3))", 'dict(config=path'),
        ("runs = dict(method='KL')", 'a list of'),
    ],
)
def test_wrong_teachers_and_runs(suite, tmp_path, text, told):
    (tmp_path / 'wrong.py').write_text("runs = [dict(method='alone', student='small', config='x', seeds=[0])]\n" + text)
    with pytest.raises(UserError, match='wrong.py') as error:
        read_suite(tmp_path / 'wrong.py', tmp_path / 'w')
    assert told in str(error.value)


def test_another_teacher_makes_other_students_and_another_place_does_not(suite, tmp_path):
    def prints(path, work):
        return {c.name: c.info['fingerprint'] for c in read_suite(path, work)[1]}

    other = suite.parent / 'other_teacher.py'
    other.write_text(
        suite.read_text().replace("alone_big_quick_scenes.py')", "alone_big_quick_scenes.py', options={'optim_wrapper.optimizer.lr': 0.5})")
    )
    a, b, c = prints(suite, tmp_path / 'w'), prints(suite, tmp_path / 'v'), prints(other, tmp_path / 'w')
    assert a == b and {n for n in a if a[n] != c[n]} == {n for n in a if 'big' in n}


@pytest.mark.parametrize('visible, given', [('2,3', ['2', '3', '2', '3']), (None, ['0', '1', '0', '1'])])
def test_cells_run_on_the_gpus_that_one_may_see(visible, given, tmp_path, monkeypatch):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible) if visible else monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    assert Local(tmp_path, jobs=4).free == given


def test_a_cell_of_another_config_is_refused(suite, tmp_path):
    _, cells = read_suite(suite, tmp_path / 'w')
    write_json(tmp_path / 'w' / cells[0].name / 'run.json', dict(fingerprint='another', config='x.py'))
    (tmp_path / 'w' / cells[0].name / 'iter_6.pth').touch()
    with pytest.raises(UserError, match='another config'):
        run_suite(suite, tmp_path / 'w')


@pytest.mark.parametrize('path', sorted((ROOT / 'configs/suites').glob('*.py')), ids=lambda p: p.stem)
def test_the_suites_that_vkd_ships(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    suite, cells = read_suite(path.relative_to(ROOT))
    assert (
        suite['title']
        and len({c.name for c in cells}) == len(cells) >= 8
        and {c.info['max_iters'] for c in cells if c.info['role'] == 'student'} in ({900}, {200}, {300}, {600}, {40000}, {80000})
    )
    assert all(set(c.before) <= {d.name for d in cells} for c in cells)
