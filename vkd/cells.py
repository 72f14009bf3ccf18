"""What a suite file says: the cells of its matrix, each an ordinary run; and what is known of one from its folder."""

import copy
import itertools
from dataclasses import dataclass
from pathlib import Path

from .config import check_packages, load_config, type_name
from .errors import UserError, nearest
from .files import read_json, safe_name
from .registry import METHODS
from .formats import FORMAT
from .identity import experiment, fingerprint
from .run import scores_of

_ENTRY = {'method', 'student', 'teacher', 'peer', 'data', 'config', 'seeds', 'options', 'label', 'after'}
_STAGE = {'config', 'options', 'after', 'seed'}
_TEACHER = {'config', 'options', 'seed'}


@dataclass
class Cell:
    """One run of a suite: an ordinary config with options, in a folder of its own."""

    name: str
    config: str
    options: dict
    info: dict
    needs: str = None  # name of the teacher's cell
    after: tuple = ()  # names of the cells of the stages that it begins with

    @property
    def before(self):
        """Names of the cells that must be done first."""
        return (*([self.needs] if self.needs else []), *self.after)

    def load(self):
        return load_config(self.config, self.options)


def read_suite(path, work_dir=None):
    """``(suite dict, cells)`` of a suite file; every config is loaded, so that a mistake shows before anything runs.

    A suite file is Python: ``title``; ``teachers``, ``{name: dict(config, seed=0, options={})}``; and ``runs``, a list of ``dict(method,
    student, teacher, peer, data, config, seeds, options, label)``. Method, student, teacher, peer, data may be lists: all combinations run.
    ``teacher`` is one of ``teachers``, which is trained first; ``peer`` names a network that learns beside the student. ``config`` is a
    path in which ``{method}`` (lower case), ``{student}``, ``{teacher}``, ``{peer}`` and ``{data}`` are replaced. ``options`` are dotted
    overrides.

    ``stages``, ``{name: dict(config, options={}, after={}, seed=None)}``, are runs that others begin with: ``after``, of a run or of a
    stage, is ``{dotted option: stage}``, and that option becomes the stage's last checkpoint. A stage is run once for each seed of the runs
    that lead to it, or with its own ``seed`` for all of them; a changed one makes what comes after it stale.

    Raises UserError.
    """
    path = str(path)
    suite = load_config(path)
    name = safe_name(suite.get('name') or Path(path).stem)
    folder = Path(work_dir or Path('work_dirs', name))
    if not suite.get('runs'):
        raise UserError(f"Suite {path!r} has no runs; add runs = [dict(method=…, student=…, config=…, seeds=[0, 1, 2])].")
    if not isinstance(suite.runs, (list, tuple)) or any(not isinstance(entry, dict) for entry in suite.runs):
        raise UserError(
            f'Suite {path!r}: runs is {type(suite.runs).__name__}; give a list of dict(method=…, student=…, config=…, seeds=[…]).'
        )
    for name_, entry in (suite.get('teachers') or {}).items():
        if not isinstance(entry, dict) or 'config' not in entry or not set(entry) <= _TEACHER:
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
            raise UserError(
                f'Suite {path!r}: seeds of method {entry.method!r} are {entry.seeds!r}; give a list of whole numbers, such as [0, 1, 2].'
            )
        seeds = list(entry.seeds)
        if len(set(seeds)) != len(seeds):
            raise UserError(
                f'Suite {path!r}: seeds {seeds} of method {entry.method!r} hold one twice, which would count one result as two; name each '
                'once.'
            )
        if entry.get('teacher') and entry.get('peer'):
            raise UserError(
                f'Suite {path!r}: a run has teacher {entry.teacher!r} and peer {entry.peer!r}; a teacher is trained first, a peer learns '
                'beside the student: keep one.'
            )
        for method, student, teacher, peer, data in itertools.product(
            *(_listed(entry.get(k)) for k in ('method', 'student', 'teacher', 'peer', 'data'))
        ):
            if method != 'alone' and METHODS.get(method) is None:
                raise UserError(f'Suite {path!r}: method {method!r} is not registered; {nearest(method, ["alone", *METHODS.module_dict])}.')
            where = dict(student=student, teacher=teacher or peer, peer=peer, data=data)
            if teacher and teacher not in (suite.get('teachers') or {}):
                raise UserError(
                    f'Suite {path!r}: teacher {teacher!r} is not among its teachers; {nearest(teacher, suite.get("teachers") or {})}.'
                )
            needs = None
            if teacher:
                needs = teachers.get((teacher, data)) or _teacher(path, name, suite.teachers[teacher], teacher, data)
                teachers[teacher, data] = needs
                cells.setdefault(needs.name, needs)
            for seed in seeds:
                after = _after(path, name, suite.get('stages') or {}, entry.get('after') or {}, seed, folder, cells)
                cell = _cell(path, name, entry, method, where, seed, needs, folder, after)
                if cell.name in cells:
                    raise UserError(
                        f'Suite {path!r}: {cell.name!r} comes twice; give each run a method, student, teacher, data, seed or label of its '
                        'own.'
                    )
                cells[cell.name] = cell
    out = dict(
        format=FORMAT,
        name=name,
        title=suite.get('title') or name,
        config=path,
        command=f'python tools/suite.py {path}',
        folder=folder,
        main_metric=suite.get('main_metric') or 'mIoU',
        slurm=dict(suite.get('slurm') or {}),
    )
    return out, list(cells.values())


def _listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _config_of(path, template, where):
    try:
        config = template.format(**where)
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        raise UserError(
            f'Suite {path!r}: config {template!r} cannot be filled in ({error}); only {{method}}, {{student}}, {{teacher}}, {{peer}} and '
            f'{{data}} are replaced.'
        ) from None
    if not Path(config).is_file():
        folder = Path(config).parent
        raise UserError(
            f'Suite {path!r}: config {config!r} does not exist; {nearest(config, sorted(str(p) for p in folder.glob("*.py")))}.'
        )
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
        raise UserError(
            f'Suite {path!r}: teacher {teacher!r} is not trained by iterations, so the name of its last checkpoint is unknown; give its '
            'config an IterBasedTrainLoop.'
        )
    known = experiment(cfg)
    info = dict(known, role='teacher', method='teacher', student=teacher, teacher=None, data=data or known['data'])
    name = safe_name(f'teacher_{teacher}_{info["protocol"]}_{info["data"]}_seed{options["randomness.seed"]}')
    return Cell(
        name, config, options, dict(info, suite=suite, run=name, fingerprint=fingerprint(cfg), max_iters=cfg.train_cfg.get('max_iters'))
    )


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
            raise UserError(
                f'Suite {path!r}: stage {stage!r} is {entry!r}; give dict(config=path, options={{}}, after={{option: stage}}, seed=None).'
            )
        own = seed if entry.get('seed') is None else entry['seed']
        before = _after(path, suite, stages, entry.get('after') or {}, own, folder, cells, (*trail, stage))
        config = _config_of(path, entry['config'], {})
        options = {'randomness.seed': own, **dict(entry.get('options') or {}), **_begin(before, folder)}
        cfg = _config(config, options)
        if not cfg.train_cfg.get('max_iters'):
            raise UserError(
                f'Suite {path!r}: stage {stage!r} is not trained by iterations, so the name of its last checkpoint is unknown; give its '
                'config an IterBasedTrainLoop.'
            )
        info = dict(experiment(cfg), role='stage')
        name = safe_name(f'stage_{stage}_{info["protocol"]}_{info["data"]}_seed{own}')
        cell = Cell(
            name,
            config,
            options,
            dict(info, suite=suite, run=name, fingerprint=_of_stages(cfg, before), max_iters=cfg.train_cfg.get('max_iters')),
            after=tuple(c.name for c in before.values()),
        )
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
    kinds = [type_name(m) for m in cfg.model.get('methods') or []]
    if method not in (kinds or ['alone']):
        raise UserError(
            f'Suite {path!r}: config {config!r} has the methods {kinds}, which is not method {method!r}; name the config of that method.'
        )
    known = experiment(cfg)
    label = entry.get('label') or method
    info = dict(
        known, role='student', method=label, student=where['student'], teacher=where['teacher'], data=where['data'] or known['data']
    )
    name = safe_name(
        '_'.join(str(x) for x in (label.lower(), where['student'], where['teacher'], info['protocol'], info['data'], f'seed{seed}') if x)
    )
    if needs:  # who taught counts, not where its file lies
        cfg.model.teacher.checkpoint = f'of {needs.info["fingerprint"]}'
    return Cell(
        name,
        config,
        options,
        dict(info, suite=suite, run=name, fingerprint=_of_stages(cfg, after), max_iters=cfg.train_cfg.get('max_iters')),
        needs and needs.name,
        tuple(c.name for c in after.values()),
    )


def status(folder, cell):
    """``'done'``, ``'failed'``, ``'running'`` or ``'missing'``, from the files alone."""
    state = (read_json(Path(folder, cell.name, 'state.json')) or {}).get('state', 'missing')
    return 'missing' if state == 'done' and scores_of(Path(folder, cell.name), test=False) is None else state


def iterations(folder):
    """The last iteration that a run folder's log tells of."""
    for log in sorted(Path(folder).glob('*/vis_data/scalars.json'), reverse=True):
        with open(log, 'rb') as file:
            file.seek(max(0, log.stat().st_size - 2000))
            steps = [part.split(b'"step": ')[1] for part in file.read().splitlines() if b'"step": ' in part]
        if steps:
            return int(steps[-1].split(b'}')[0].split(b',')[0])
    return 0
