import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import ROOT
from helpers.cases import method
from helpers.configs import config
from helpers.errors import fails
from helpers.networks import distiller, segmentor
from helpers.suites import start

from vkd import UserError
from vkd.build.identity import fingerprint
from vkd.io.files import read_json, write_json
from vkd.runs.cells import iterations, read_suite, status
from vkd.runs.jobs import Local, Slurm
from vkd.runs.suite import run_cells, run_suite

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


def result(work_dir):
    """What must be the same however often a suite was cut short."""
    rows = read_json(Path(work_dir) / 'leaderboard.json')['rows']
    kept = ('student', 'teacher', 'method', 'seeds', 'values', 'mean', 'interval', 'gain', 'per_class', 'failed')
    return sorted(json.dumps({k: r[k] for k in kept}) for r in rows)


@pytest.mark.slow
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
        and rows['KL', 'small']['gain'].get('value') is not None
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


@pytest.mark.slow
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
        [sys.executable, '-m', *command],
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


@pytest.mark.slow
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
    assert [job.job_id for job in jobs] == ['1_0', '1_1', '1_2'] and {c.role for c in ready} == {'teacher', 'student'}
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
        ("'KL'", "run 3 is 'KL'; give a dict with method, student, config, seeds."),
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
        ("teachers = dict(big='x.py')", "teacher 'big' is 'x.py'; give a dict with config."),
        ('teachers = dict(big=dict(seed=1))', "teacher 'big' has no 'config'; add it: the path of a config."),
        ("teachers = dict(big=dict(config='x.py', sed=3))", "teacher 'big': unknown key 'sed'; nearest: 'seed'."),
        ("teachers = dict(big=dict(config='x.py', seed=-1))", "teacher 'big': seed is -1; give a whole number from 0."),
        ("teachers = ['big']", "teachers is ['big']; give a dict {name: dict(config=path, seed=0, options={})}, or None."),
        ("stages = dict(one=dict(config='x.py', afer={}))", "stage 'one': unknown key 'afer'; nearest: 'after'"),
        (
            "stages = dict(one=dict(config='x.py', after=['a']))",
            "stage 'one': after is ['a']; give a dict {dotted option: stage}, or None.",
        ),
        ("runs = dict(method='KL')", 'a list of dict(method=…'),
        ('runs = []', 'has no runs; add runs = [dict('),
        ("main_metrics = 'PSNR'", "unknown key 'main_metrics'; nearest: 'main_metric'; begin a name of the file's own with an underscore."),
        ('slurm = 3', 'slurm is 3; give a dict of dotted options, or None.'),
        ("title = 'a\\nb'", 'title is '),
    ],
)
def test_wrong_keys_of_a_suite(tmp_path, text, told):
    (tmp_path / 'wrong.py').write_text("runs = [dict(method='alone', student='small', config='x', seeds=[0])]\n" + text)
    with pytest.raises(UserError) as error:
        read_suite(tmp_path / 'wrong.py', tmp_path / 'w')
    assert told in str(error.value) and str(error.value).startswith("Suite '") and '\n' not in str(error.value)


ALONE = "dict(method='alone', student='small', config='{folder}/alone_small_quick_scenes.py', label='x', seeds=[0], {more})"
KL = "dict(method='KL', student='small', teacher='big', config='{folder}/kl_small_big_quick_scenes.py', label='x', seeds=[0], {more})"
LR = 'optim_wrapper.optimizer.lr'


@pytest.mark.parametrize(
    'run, more, told',
    [
        (ALONE, 'budgets=2', 'run 3: budgets is 2; give a list of numbers above 0, such as [1, 1.5, 2, 3], or None.'),
        (ALONE, 'budgets=[1, 0]', 'budgets is [1, 0]; give a list of numbers above 0'),
        (ALONE, 'budgets=[1, 1.0]', 'budgets [1, 1.0] hold one twice'),
        (KL, 'budgets=[1, 2]', "run 3 (x) has budgets [1, 2]; only the student alone (method='alone', without stages) is trained longer"),
        (ALONE, "after={{'model.student.init_cfg': 'a'}}, budgets=[2]", 'only the student alone'),
        (
            ALONE,
            "budgets=[2], options={{'param_scheduler.0.type': 'ReduceOnPlateauLR'}}",
            "budget 2 of config '{folder}/alone_small_quick_scenes.py': param_scheduler.0 (ReduceOnPlateauLR) follows the scores",
        ),
        (KL, "control='should help'", "control is 'should help'; give one of 'must help', 'cannot help', or None."),
        (ALONE, "control='must help'", "has control 'must help', but is the student alone; give it to the run of a method."),
        (ALONE, "part_of_method=['model.student.x']", 'but is the student alone'),
        (
            KL,
            "part_of_method=['optim_wrapper.lr']",
            "names 'optim_wrapper.lr'; what a method changes by design lies below 'model.student.'",
        ),
        (KL, "part_of_method='model.student.x'", 'give a list of dotted paths'),
        (KL, 'tune=3', 'tune is 3; give dict(space={{dotted option: [values]}}, trials=N), or None.'),
        (KL, 'tune=dict(trials=3)', "run 3 (x): tune has no 'space'; add it: a dict {{dotted option: [values]}}"),
        (KL, "tune=dict(space={{'" + LR + "': [1]}}, trial=3)", "tune: unknown key 'trial'; nearest: 'trials'"),
        (KL, "tune=dict(space={{'" + LR + "': [1]}}, trials=0)", 'tune: trials is 0; give a whole number from 1.'),
        (
            KL,
            "tune=dict(space={{'" + LR + "': 1}}, trials=2)",
            "tune: space is {{'" + LR + "': 1}}; give a dict {{dotted option: [values]}}",
        ),
        (KL, 'tune=dict(space={{}}, trials=2)', 'tune: space is {{}}; give a dict'),
        (KL, "tune=dict(space={{'" + LR + "': [1, 1]}}, trials=2)", "tune: values of '" + LR + "' [1, 1] hold one twice"),
        (KL, "tune=dict(space={{'" + LR + "': [{{1}}]}}, trials=2)", 'of numbers, texts and lists of them'),
        (
            KL,
            "tune=dict(space={{'" + LR + "': [1]}}, trials=2, metric='mIuO')",
            "x of small: tune: Nothing says whether more of 'mIuO' is better",
        ),
        (
            KL,
            "tune=dict(space={{'optim_wrapper.optimiser.lr': [1]}}, trials=2)",
            "tune names 'optim_wrapper.optimiser.lr', but optim_wrapper has no 'optimiser'; nearest: 'optimizer'",
        ),
        (KL, "tune=dict(space={{'" + LR + "r': [1]}}, trials=2)", "but optim_wrapper.optimizer has no 'lrr'; nearest: 'lr'"),
        (KL, "tune=dict(space={{'model.methods.1.tau': [1]}}, trials=2)", "but model.methods has no '1'; nearest: '0'"),
        (KL, "tune=dict(space={{'model.methods.0.taux': [1]}}, trials=2)", "but model.methods.0 has no 'taux'; nearest: 'tau'"),
        (KL, "tune=dict(space={{'model.task_weight': [1]}}, trials=2)", 'write an option that is left to its default into the options'),
        *[
            (KL, "tune=dict(space={{'" + option + "': [1]}}, trials=2)", f"tune cannot change '{option}'")
            for option in ('randomness.seed', 'train_cfg.max_iters', 'val_dataloader.batch_size', 'model.teacher.checkpoint')
        ],
        (
            KL,
            "options={{'val_dataloader': None}}, tune=dict(space={{'" + LR + "': [1]}}, trials=2)",
            "tune judges trials by validation images, but config '{folder}/kl_small_big_quick_scenes.py' has none",
        ),
    ],
)
def test_a_wrong_budget_trial_or_control_is_one_sentence_before_anything_runs(suite, tmp_path, run, more, told):
    path = tmp_path / 'wrong.py'
    path.write_text(SUITE.format(folder=suite.parent, more=run.replace('{more}', more).format(folder=suite.parent)))
    with pytest.raises(UserError) as error:
        read_suite(path, tmp_path / 'w')
    assert told.format(folder=suite.parent) in str(error.value)
    assert 'wrong.py' in str(error.value) and '\n' not in str(error.value) and not (tmp_path / 'w').exists()


def test_a_name_of_the_files_own_is_no_key(suite, tmp_path):
    text = suite.read_text() + "\npair, _teacher, teacher, seeds = dict(student='small'), 'big', 'big', [0]\n"
    (tmp_path / 'own.py').write_text(text)
    assert len(read_suite(tmp_path / 'own.py', tmp_path / 'w')[1]) == 6


def test_budgets_controls_and_what_a_method_changes(suite, tmp_path):
    path = suite.parent / 'longer.py'
    rows = [
        ALONE.replace('{more}', 'budgets=[1, 1.5, 2]'),
        KL.replace('{more}', "control='cannot help', part_of_method=['model.student.backbone']"),
    ]
    path.write_text(
        SUITE.format(folder=suite.parent, more=', '.join(rows).replace("label='x', ", '').replace('seeds=[0]', 'seeds=[2]')).format(
            folder=suite.parent
        )
    )
    cells = {c.name: c for c in read_suite(path, tmp_path / 'w')[1]}
    plain, longer, twice = (cells[f'alone_small_quick_scenes_{part}seed2'] for part in ('', 'x1.5_', 'x2_'))
    assert 'budget' not in plain.facts() and longer.facts()['budget'] == 1.5 and isinstance(twice.facts()['budget'], float)
    assert (plain.max_iters, longer.max_iters, twice.max_iters) == (24, 36, 48) and 'train_cfg.max_iters' not in plain.settings()
    cfg = longer.load()
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval, cfg.param_scheduler[0].total_steps) == (36, 9, 36)
    assert longer.fingerprint == fingerprint(cfg) != plain.fingerprint == fingerprint(plain.load())
    # nothing else is in the facts of a run without any of this
    other = cells['kl_small_big_quick_scenes_seed0'].facts()
    assert set(other) == {'role', 'method', 'student', 'teacher', 'protocol', 'data', 'named_by', 'suite', 'run'}
    told = cells['kl_small_big_quick_scenes_seed2'].facts()
    assert (told['control'], told['part_of_method']) == ('cannot help', ['model.student.backbone'])


def test_another_teacher_makes_other_students_and_another_place_does_not(suite, tmp_path):
    def prints(path, work):
        return {c.name: c.fingerprint for c in read_suite(path, work)[1]}

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


@pytest.mark.slow
def test_a_cell_of_another_config_is_refused(suite, tmp_path):
    _, cells = read_suite(suite, tmp_path / 'w')
    write_json(tmp_path / 'w' / cells[0].name / 'run.json', dict(fingerprint='another', config='x.py'))
    (tmp_path / 'w' / cells[0].name / 'iter_6.pth').touch()
    with fails('other-run'):
        run_suite(suite, tmp_path / 'w')


@pytest.mark.parametrize('path', sorted((ROOT / 'configs/suites').glob('*.py')), ids=lambda p: p.stem)
def test_the_suites_that_vkd_ships(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    suite, cells = read_suite(path.relative_to(ROOT))
    assert (
        suite.title
        and len({c.name for c in cells}) == len(cells) >= 8
        and {c.max_iters for c in cells if c.role == 'student'} in ({900}, {200}, {300}, {600}, {40000}, {80000})
    )
    assert all(set(c.before) <= {d.name for d in cells} for c in cells)
