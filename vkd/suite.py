"""A matrix of runs: what is missing is run, what was interrupted continues, what fails is shown and does not stop the others."""
import copy
import itertools
import multiprocessing
import os
import socket
import sys
import threading
import time
import warnings
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import torch

from .config import check_packages, fingerprint, load_config
from .errors import UserError, nearest
from .files import read_json, safe_name, write_json
from .registry import METHODS
from .run import FORMAT, Busy, claim, experiment, rerun_command, results, run

_ENTRY = {'method', 'student', 'teacher', 'peer', 'data', 'config', 'seeds', 'options', 'label', 'after'}
_STAGE = {'config', 'options', 'after', 'seed'}


@dataclass
class Cell:
    """One run of a suite: an ordinary config with options, in a folder of its own."""
    name: str
    config: str
    options: dict
    info: dict
    needs: str = None  # name of the teacher's cell
    after: tuple = ()  # names of the cells of the stages that it begins with
    waited: int = field(default=0, compare=False)

    @property
    def before(self):
        """Names of the cells that must be done first."""
        return (*([self.needs] if self.needs else []), *self.after)

    def load(self):
        return load_config(self.config, self.options)


# -- what a suite file says ------------------------------------------------------------------------------------------------
def read_suite(path, work_dir=None):
    """``(suite dict, cells)`` of a suite file; every config is loaded, so that a mistake shows before anything runs.

    A suite file is Python: ``title``; ``teachers``, ``{name: dict(config, seed=0, options={})}``; and ``runs``, a list of
    ``dict(method, student, teacher, peer, data, config, seeds, options, label)``. Method, student, teacher, peer, data may be lists: all combinations run.
    ``teacher`` is one of ``teachers``, which is trained first; ``peer`` names a network that learns beside the student.
    ``config`` is a path in which ``{method}`` (lower case), ``{student}``, ``{teacher}``, ``{peer}`` and ``{data}`` are replaced. ``options`` are dotted
    overrides.

    ``stages``, ``{name: dict(config, options={}, after={}, seed=None)}``, are runs that others begin with: ``after``, of a run or of a stage, is ``{dotted option: stage}``, and that option
    becomes the stage's last checkpoint. A stage is run once for each seed of the runs that lead to it, or with its own ``seed`` for all of them; a changed one makes what comes after it stale.

    Raises UserError.
    """
    path = str(path)
    suite = load_config(path)
    name = safe_name(suite.get('name') or Path(path).stem)
    folder = Path(work_dir or Path('work_dirs', name))
    if not suite.get('runs'):
        raise UserError(f"Suite {path!r} has no runs; add runs = [dict(method=…, student=…, config=…, seeds=[0, 1, 2])].")
    if not isinstance(suite.runs, (list, tuple)) or any(not isinstance(entry, dict) for entry in suite.runs):
        raise UserError(f'Suite {path!r}: runs is {type(suite.runs).__name__}; give a list of dict(method=…, student=…, config=…, seeds=[…]).')
    for name_, entry in (suite.get('teachers') or {}).items():
        if not isinstance(entry, dict) or 'config' not in entry:
            raise UserError(f'Suite {path!r}: teacher {name_!r} is {entry!r}; give dict(config=path, seed=0, options={{}}).')
    teachers, cells = {}, {}
    for entry in suite.runs:
        unknown = set(entry) - _ENTRY
        if unknown:
            raise UserError(f'Suite {path!r}: unknown key {sorted(unknown)[0]!r} in a run; {nearest(sorted(unknown)[0], _ENTRY)}.')
        for key in ('method', 'student', 'config', 'seeds'):
            if key not in entry:
                raise UserError(f'Suite {path!r}: a run ({dict(entry)}) has no {key!r}; add it.')
        if not isinstance(entry.seeds, (list, tuple)) or not entry.seeds or any(not isinstance(s, int) for s in entry.seeds):
            raise UserError(f'Suite {path!r}: seeds of method {entry.method!r} are {entry.seeds!r}; give a list of whole numbers, such as [0, 1, 2].')
        seeds = list(entry.seeds)
        if len(set(seeds)) != len(seeds):
            raise UserError(f'Suite {path!r}: seeds {seeds} of method {entry.method!r} hold one twice, which would count one result as two; name each once.')
        if entry.get('teacher') and entry.get('peer'):
            raise UserError(f'Suite {path!r}: a run has teacher {entry.teacher!r} and peer {entry.peer!r}; a teacher is trained first, a peer learns beside the student: keep one.')
        for method, student, teacher, peer, data in itertools.product(*(_listed(entry.get(k)) for k in ('method', 'student', 'teacher', 'peer', 'data'))):
            if method != 'alone' and METHODS.get(method) is None:
                raise UserError(f'Suite {path!r}: method {method!r} is not registered; {nearest(method, ["alone", *METHODS.module_dict])}.')
            where = dict(student=student, teacher=teacher or peer, peer=peer, data=data)
            if teacher and teacher not in (suite.get('teachers') or {}):
                raise UserError(f'Suite {path!r}: teacher {teacher!r} is not among its teachers; {nearest(teacher, suite.get("teachers") or {})}.')
            needs = None
            if teacher:
                needs = teachers.get((teacher, data)) or _teacher(path, name, suite.teachers[teacher], teacher, data)
                teachers[teacher, data] = needs
                cells.setdefault(needs.name, needs)
            for seed in seeds:
                after = _after(path, name, suite.get('stages') or {}, entry.get('after') or {}, seed, folder, cells)
                cell = _cell(path, name, entry, method, where, seed, needs, folder, after)
                if cell.name in cells:
                    raise UserError(f'Suite {path!r}: {cell.name!r} comes twice; give each run a method, student, teacher, data, seed or label of its own.')
                cells[cell.name] = cell
    out = dict(format=FORMAT, name=name, title=suite.get('title') or name, config=path, command=f'python tools/suite.py {path}', folder=folder,
               main_metric=suite.get('main_metric') or 'mIoU', slurm=dict(suite.get('slurm') or {}))
    return out, list(cells.values())


def _listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _config_of(path, template, where):
    try:
        config = template.format(**where)
    except (KeyError, IndexError) as error:
        raise UserError(f'Suite {path!r}: config {template!r} names {error}; only {{method}}, {{student}}, {{teacher}}, {{peer}} and {{data}} are replaced.') from None
    if not Path(config).is_file():
        folder = Path(config).parent
        raise UserError(f'Suite {path!r}: config {config!r} does not exist; {nearest(config, sorted(str(p) for p in folder.glob("*.py")))}.')
    return config


def _config(config, options):
    """The config of a cell, whose packages are there: it may be built only when hours of other cells are done."""
    cfg = load_config(config, options)
    check_packages(cfg.model)
    return cfg


def _teacher(path, suite, entry, teacher, data):
    config = _config_of(path, entry['config'], dict(teacher=teacher, student=teacher, peer=None, data=data, method='alone'))
    options = {'randomness.seed': entry.get('seed', 0), **dict(entry.get('options') or {})}
    cfg = _config(config, options)
    if not cfg.train_cfg.get('max_iters'):
        raise UserError(f'Suite {path!r}: teacher {teacher!r} is not trained by iterations, so the name of its last checkpoint is unknown; give its config an IterBasedTrainLoop.')
    known = experiment(cfg)
    info = dict(known, role='teacher', method='teacher', student=teacher, teacher=None, data=data or known['data'])
    name = safe_name(f'teacher_{teacher}_{info["protocol"]}_{info["data"]}_seed{options["randomness.seed"]}')
    return Cell(name, config, options, dict(info, suite=suite, run=name, fingerprint=fingerprint(cfg), max_iters=cfg.train_cfg.get('max_iters')))


def _after(path, suite, stages, after, seed, folder, cells, trail=()):
    """``{dotted option: cell}`` of the stages that ``after`` names, added to ``cells`` with those before them."""
    out = {}
    for option, stage in after.items():
        if stage not in stages:
            raise UserError(f'Suite {path!r}: stage {stage!r} is not among its stages; {nearest(stage, stages)}.')
        if stage in trail:
            raise UserError(f'Suite {path!r}: stage {stage!r} comes after itself ({" after ".join((*trail, stage))}); cut the circle.')
        entry = stages[stage]
        unknown = set(entry) - _STAGE if isinstance(entry, dict) else {'config'}
        if unknown or 'config' not in entry:
            raise UserError(f'Suite {path!r}: stage {stage!r} is {entry!r}; give dict(config=path, options={{}}, after={{option: stage}}, seed=None).')
        own = seed if entry.get('seed') is None else entry['seed']
        before = _after(path, suite, stages, entry.get('after') or {}, own, folder, cells, (*trail, stage))
        config = _config_of(path, entry['config'], {})
        options = {'randomness.seed': own, **dict(entry.get('options') or {}), **_begin(before, folder)}
        cfg = _config(config, options)
        if not cfg.train_cfg.get('max_iters'):
            raise UserError(f'Suite {path!r}: stage {stage!r} is not trained by iterations, so the name of its last checkpoint is unknown; give its config an IterBasedTrainLoop.')
        info = dict(experiment(cfg), role='stage')
        name = safe_name(f'stage_{stage}_{info["protocol"]}_{info["data"]}_seed{own}')
        cell = Cell(name, config, options, dict(info, suite=suite, run=name, fingerprint=_of_stages(cfg, before), max_iters=cfg.train_cfg.get('max_iters')), after=tuple(c.name for c in before.values()))
        out[option] = cells.setdefault(name, cell)
    return out


def _begin(after, folder):
    """The options that begin a run with the last checkpoints of its stages."""
    return {option: str(folder / cell.name / f'iter_{cell.info["max_iters"]}.pth') for option, cell in after.items()}


def _of_stages(cfg, after):
    """Fingerprint of a config to which the stages before it count by their own fingerprints, not by where their files lie."""
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict({option: f'of {cell.info["fingerprint"]}' for option, cell in after.items()})
    return fingerprint(cfg)


def _cell(path, suite, entry, method, where, seed, needs, folder, after):
    config = _config_of(path, entry['config'], dict(where, method=method.lower()))
    options = {'randomness.seed': seed, **dict(entry.get('options') or {})}
    if needs:
        options['model.teacher.checkpoint'] = str(folder / needs.name / f'iter_{needs.info["max_iters"]}.pth')
    options.update(_begin(after, folder))
    cfg = _config(config, options)
    if (method == 'alone') != (not cfg.model.get('methods')):
        raise UserError(f'Suite {path!r}: config {config!r} has methods={cfg.model.get("methods")}, which is not method {method!r}; name the config of that method.')
    known = experiment(cfg)
    label = entry.get('label') or method
    info = dict(known, role='student', method=label, student=where['student'], teacher=where['teacher'], data=where['data'] or known['data'])
    name = safe_name('_'.join(str(x) for x in (label.lower(), where['student'], where['teacher'], info['protocol'], info['data'], f'seed{seed}') if x))
    if needs:  # who taught counts, not where its file lies
        cfg.model.teacher.checkpoint = f'of {needs.info["fingerprint"]}'
    return Cell(name, config, options, dict(info, suite=suite, run=name, fingerprint=_of_stages(cfg, after), max_iters=cfg.train_cfg.get('max_iters')), needs and needs.name, tuple(c.name for c in after.values()))


# -- one cell, in a process of its own ---------------------------------------------------------------------------------------
def run_cell(cell, folder, threads=None, log=True, leash=False):
    """Runs ``cell`` in ``folder / cell.name``; its output goes to console.log there. ``leash``: die with the process that started this one."""
    if leash:
        threading.Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    if threads:
        torch.set_num_threads(threads)
    own = Path(folder, cell.name)
    own.mkdir(parents=True, exist_ok=True)
    with open(own / 'console.log', 'a') if log else nullcontext(sys.stdout) as out, redirect_stdout(out), redirect_stderr(out):
        facts = {k: v for k, v in cell.info.items() if k not in ('fingerprint', 'max_iters')}
        # made again beside the suite, whose own folders hold what it counts
        return run(cell.load(), own, facts, resume=True, command=rerun_command(cell.config, Path('work_dirs/again', cell.name), cell.options), identity=cell.info['fingerprint'])


def _child(cell, folder, threads, gpu):
    if gpu is not None:
        os.environ['CUDA_VISIBLE_DEVICES'] = str(gpu)
    try:
        run_cell(cell, folder, threads, leash=True)
    except Busy:
        os._exit(75)
    except BaseException:  # told in state.json and console.log
        os._exit(1)


def status(folder, cell):
    """``'done'``, ``'failed'``, ``'running'`` or ``'missing'``, from the files alone."""
    state = (read_json(Path(folder, cell.name, 'state.json')) or {}).get('state', 'missing')
    return 'missing' if state == 'done' and results(Path(folder, cell.name), test=False) is None else state


def iterations(folder):
    """The last iteration that a run folder's log tells of."""
    for log in sorted(Path(folder).glob('*/vis_data/scalars.json'), reverse=True):
        with open(log, 'rb') as file:
            file.seek(max(0, log.stat().st_size - 2000))
            steps = [part.split(b'"step": ')[1] for part in file.read().splitlines() if b'"step": ' in part]
        if steps:
            return int(steps[-1].split(b'}')[0].split(b',')[0])
    return 0


# -- all of them -----------------------------------------------------------------------------------------------------------
class Local:
    """Up to ``jobs`` processes on this machine, forked from a server that has imported everything once."""

    patience = 5  # seconds until a run that another suite process has is looked at again

    def __init__(self, folder, jobs=None):
        gpus = torch.cuda.device_count()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
        memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2 ** 30
        self.jobs = jobs or gpus or max(1, min(cores, 8, int(memory // 3)))
        self.folder, self.threads = folder, None if gpus else max(1, cores // self.jobs)
        self.free = list(range(gpus)) * -(-self.jobs // max(gpus, 1)) if gpus else [None] * self.jobs
        self.context = multiprocessing.get_context('forkserver')
        self.context.set_forkserver_preload(['vkd.suite', 'mmseg.models', 'mmseg.datasets', 'mmseg.engine', 'mmseg.evaluation'])
        self.where = f'{self.jobs} at a time' + (f', {self.threads} thread{"s" * (self.threads > 1)} each' if self.threads else f' on {gpus} GPUs')

    def start(self, cell):
        gpu = self.free.pop(0)
        process = self.context.Process(target=_child, args=(cell, self.folder, self.threads, gpu))
        process.start()
        process.gpu = gpu
        return process

    def finished(self, process):
        """None while it runs, else its exit code."""
        if process.exitcode is not None:
            self.free.append(process.gpu)
        return process.exitcode

    def stop(self, process):
        process.terminate()
        process.join()


class Slurm:
    """Each cell a job of a cluster, through submitit. ``options`` go to its executor (partition, gpus_per_node, timeout_min …)."""

    patience = 120  # each look is a job

    def __init__(self, folder, jobs=None, options=None, cluster='slurm'):
        try:
            import submitit
        except ImportError as error:
            raise UserError("--launcher slurm needs submitit; run pip install -e '.[slurm]'.") from error
        try:
            self.executor = submitit.AutoExecutor(folder=str(Path(folder, 'jobs')), cluster=cluster)
        except RuntimeError as error:
            raise UserError(f'--launcher slurm: {error}; start it on a machine that can submit jobs.') from error
        self.executor.update_parameters(name='vkd', **(options or {}))
        self.folder, self.jobs = folder, jobs or 64
        self.where = f'{cluster} jobs, at most {self.jobs} at a time'

    def start(self, cell):
        return self.executor.submit(run_cell, cell, self.folder)

    def finished(self, job):
        if not job.done():
            return None
        error = job.exception()
        return 0 if error is None else 75 if 'Busy' in str(error) else 1

    def stop(self, job):
        job.cancel()


def run_suite(path, work_dir=None, jobs=None, launcher='local', poll=0.5, out=print):
    """Runs the missing cells of the suite file ``path``, then profiles and writes the leaderboard.

    Returns ``(path of the page, names of failed cells)``. Raises UserError before anything runs, for a mistake in the suite or a folder of another config.
    """
    suite, cells = read_suite(path, work_dir)
    folder = suite.pop('folder')
    for cell in cells:
        claim(folder / cell.name, cell.info['fingerprint'])
    slurm = suite.pop('slurm')
    engine = Local(folder, jobs) if launcher == 'local' else Slurm(folder, jobs, slurm)
    write_json(folder / 'suite.json', dict(suite, cells=[cell.name for cell in cells]))
    out(f'{suite["title"]}: {len(cells)} runs, {engine.where}; {folder}')
    failed = _run_cells(cells, folder, engine, poll, out)
    from .leaderboard import build
    build(folder)  # before the costs are measured: what was trained is shown in any case
    _profile(cells, folder, out)
    return build(folder)['html'], failed


def _run_cells(cells, folder, engine, poll, out):
    """Names of the cells that failed."""
    names = {cell.name: cell for cell in cells}
    done = {cell.name for cell in cells if status(folder, cell) == 'done'}
    if done:
        out(f'{len(done)} of {len(cells)} are done already')
    # teachers and stages first, then what waits for none of them
    waiting = sorted((c for c in cells if c.name not in done), key=lambda c: (c.info['role'] == 'student', bool(c.before)))
    active, failed = {}, {}

    def fail(cell, lines):
        failed[cell.name] = lines
        out(f'{cell.name} failed: {lines[-1] if lines else "no message"}')

    with _progress(cells, folder, out) as tick:
        try:
            while waiting or active:
                for cell in [c for c in waiting if failed.keys() & set(c.before)]:
                    waiting.remove(cell)
                    first = next(name for name in cell.before if name in failed)
                    lines = [f'its {"teacher" if first == cell.needs else "stage"} {first} failed: {failed[first][-1]}']
                    write_json(folder / cell.name / 'state.json', _failed(lines))
                    fail(cell, lines)
                ready = [c for c in waiting if done.issuperset(c.before) and c.waited <= time.monotonic()]
                while ready and len(active) < engine.jobs:
                    cell = ready.pop(0)
                    waiting.remove(cell)
                    active[cell.name] = engine.start(cell)
                for name, process in list(active.items()):
                    code = engine.finished(process)
                    if code is None:
                        continue
                    cell = names[name]
                    del active[name]
                    if status(folder, cell) == 'done':
                        done.add(name)
                        scores = read_json(folder / name / 'metrics.json').get('test') or {}
                        shown = [f'{k} {scores[k]:.2f}' for k in ('mIoU', 'PSNR') if isinstance(scores.get(k), float)]
                        out(': '.join([f'{len(done)}/{len(cells)} {name}', *shown]))
                    elif code == 75:  # another suite process has it: look again later
                        cell.waited = time.monotonic() + engine.patience
                        waiting.append(cell)
                    else:
                        state = read_json(folder / name / 'state.json') or {}
                        if state.get('state') != 'failed':
                            state = _failed([f'the process died with exit code {code} (out of memory?); see console.log'])
                            write_json(folder / name / 'state.json', state)
                        fail(cell, state['lines'])
                for cell in [c for c in waiting if status(folder, c) == 'done']:  # by another suite process
                    waiting.remove(cell)
                    done.add(cell.name)
                tick()
                time.sleep(poll)
        except BaseException:
            for process in active.values():
                engine.stop(process)
            raise
    return list(failed)


def _failed(lines):
    return dict(format=FORMAT, state='failed', pid=os.getpid(), host=socket.gethostname(), started=None, ended=None, seconds=None, lines=lines)


def _progress(cells, folder, out):
    """A context that gives a function to call now and then: one bar over all iterations of the suite on a terminal, nothing elsewhere."""
    from contextlib import contextmanager

    @contextmanager
    def bar():
        if not sys.stdout.isatty():
            yield lambda: None
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        total = sum(c.info['max_iters'] or 0 for c in cells)
        with Progress(TextColumn('{task.completed:.0f}/{task.total:.0f} iterations'), BarColumn(), TimeElapsedColumn(), TextColumn('elapsed, left'), TimeRemainingColumn()) as progress:
            task, last = progress.add_task('suite', total=total), [0.0]

            def tick():
                if time.monotonic() - last[0] > 1:
                    last[0] = time.monotonic()
                    progress.update(task, completed=sum(c.info['max_iters'] or 0 if status(folder, c) == 'done' else iterations(folder / c.name) for c in cells))
            yield tick
            last[0] = 0.0
            tick()
    return bar()


def _profile(cells, folder, out):
    """``profile.json``: what each network and each kind of step costs, measured once in one process when its cells are done."""
    from .profile import suite_profile
    kinds = {}
    for cell in cells:
        if status(folder, cell) == 'done' and cell.info['role'] != 'stage':
            info = cell.info
            kinds.setdefault('|'.join((info['student'], info['teacher'] or '-', info['method'])), cell)
    known = read_json(folder / 'profile.json') or {}
    if kinds and set(kinds) - set(known.get('measured', [])):
        out('measuring what each step costs')
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as the local jobs ran; a ratio of two cores' noise is none
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # they stand in the runs' own logs
                measured = suite_profile({k: c.load() for k, c in kinds.items()})
            write_json(folder / 'profile.json', dict(measured, measured=sorted(kinds)))
        finally:
            torch.set_num_threads(threads)
