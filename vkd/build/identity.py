"""What a run is an experiment of: the names of its parts, the fingerprints that tell experiments apart, and the baseline that it may be
compared with.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from mmengine.config import Config

from ..errors import UserError
from .config import load_config, plain, teachers_of, type_name

#: what may differ between two starts of the same experiment
_INCIDENTAL = {'work_dir', 'resume', 'launcher', 'filename', 'env_cfg', 'log_level', 'visualizer', 'vis_backends', 'log_processor'}
#: keys of a config that say what its parts are called: ``student_name = 'mit-b0'`` and so on
NAME_KEYS = ('student', 'teacher', 'protocol', 'data')
#: what a part says of itself, beside its name, to be found and put in place (``vkd.build.compose``)
_OF_PARTS = ('name', 'fits', 'kind', 'hooks', 'peers')
#: what of a config decides how a student alone is trained and tested; everything else is a variable of the file, or logging
_OF_BASELINE = (
    'model',
    'data_preprocessor',
    *(f'{part}_{what}' for part in ('train', 'val', 'test') for what in ('cfg', 'dataloader')),
    'val_evaluator',
    'test_evaluator',
    'optim_wrapper',
    'param_scheduler',
    'auto_scale_lr',
    'custom_hooks',
    'default_hooks',
    'load_from',
    'sync_bn',
    'randomness',
)
#: how data are read and what is logged: neither which data nor what is learnt
_LOADING = {'num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor'}
_LOGGING = {'logger', 'checkpoint', 'timer', 'visualization'}
#: options of a data preprocessor that make what teachers alone see
_OF_TEACHERS = {'teacher_views'}
#: options without effect that configs of older versions have
_IDLE = {'TimmViT': ('tokens',)}
#: keys whose value is a file that something starts from
_WEIGHTS = {'checkpoint', 'pretrained', 'load_from'}


# -- names -----------------------------------------------------------------------------------------------------------------
def experiment(cfg: Config) -> dict[str, Any]:
    """What a config is an experiment of: ``dict(role, method, student, teacher, protocol, data, named_by)``.

    Student, teacher, protocol and data are named by the config itself (``student_name`` and so on, which each ``_base_`` part sets for
    itself); methods by the types in ``model.methods``. Where a name is missing, the file's name is read if it is
    ``<method>_<student>[_<teacher>]_<protocol>_<data>.py`` with that very method; ``named_by`` lists the parts that it named, None if there
    are none. A file of any other name gives none: then networks are called by their backbone and a digest of their config, data by their
    type, so that the student alone and a method over it still meet.
    """
    methods = cfg.model.get('methods') or []
    kinds = [type_name(m) for m in methods]
    varied = [f'{kind}-{m["variant"]}' if m.get('variant') else kind for kind, m in zip(kinds, methods, strict=True)]
    given = {part: cfg.get(f'{part}_name') for part in NAME_KEYS if part != 'teacher' or methods}
    for part, name in given.items():
        if name is not None and (not isinstance(name, str) or not name.strip()):
            raise UserError(f"Config {cfg.filename!r}: {part}_name is {name!r}; give a text, such as {part}_name = 'mit-b0'.")
    missing = [part for part in given if given[part] is None]
    read = _names_of_file(Path(cfg.filename or 'config').stem, {'+'.join(k).lower() or 'alone' for k in (kinds, varied)}, bool(methods))
    made = read or (_names_of_config(cfg, missing) if missing else {})
    names = {**dict.fromkeys(NAME_KEYS), **given, **{part: made[part] for part in missing}}
    return dict(role='student', method='+'.join(varied) or 'alone', **names, named_by=missing if read and missing else None)


def _names_of_file(stem: str, methods: set[str], distilled: bool) -> dict[str, str | None] | None:
    """The names in the name of a file that is called by the habit, with one of ``methods`` in front; None of any other."""
    first, *parts = stem.split('_')
    if first.lower() not in methods or len(parts) != (4 if distilled else 3):
        return None
    student, teacher, protocol, data = parts if distilled else (parts[0], None, *parts[1:])
    return dict(student=student, teacher=teacher, protocol=protocol, data=data)


def _names_of_config(cfg: Config, missing: list[str]) -> dict[str, str | None]:
    """Names for the parts ``missing`` of a config that has none: equal parts have equal ones."""
    out: dict[str, str | None] = dict(protocol='unnamed', data=type_name(cfg.train_dataloader.dataset))
    if 'student' in missing:
        out['student'] = _called(_inline(cfg.model.get('student', cfg.model))['network'])
    if 'teacher' in missing:
        out['teacher'] = '+'.join(_called(_inline(role)['network']) for role in teachers_of(cfg.model).values()) or 'teacher'
    return out


def _called(network: Any) -> str:
    """A name for a network: its backbone's type, or its own, and six digits of its config."""
    if not isinstance(network, Mapping):
        return str(network)
    plain_network = plain(network)
    backbone = network.get('backbone')
    return f'{type_name(backbone if isinstance(backbone, Mapping) else network)}-{_digits(plain_network)[:6]}'


def told_names(info: Mapping[str, Any]) -> str | None:
    """A sentence on the names that come from a file's name; None where there are none."""
    guessed = info.get('named_by')
    if not guessed:
        return None
    told = ', '.join(f'{part} {info.get(part)!r}' for part in guessed)
    return (
        f"{told} {'is' if len(guessed) == 1 else 'are'} taken from the config's file name, which nothing checks; write "
        f"{' and '.join(f'{part}_name = …' for part in guessed)} in the config."
    )


# -- fingerprints ----------------------------------------------------------------------------------------------------------
def fingerprint(cfg: Config | Mapping[str, Any]) -> str:
    """Twelve hex digits that tell two experiments apart; the work dir, logging and the launcher do not count."""
    content = cfg.to_dict() if isinstance(cfg, Config) else cfg
    content = {k: v for k, v in content.items() if k not in _INCIDENTAL and not _names_a_part(k) and (k, v) != ('load_from', None)}
    return _digits(plain(content))


def experiment_fingerprint(cfg: Config) -> str:
    """``fingerprint`` without seed, teacher checkpoint, and the seed in the name of a stage that it begins with: equal for the runs that
    are repetitions of one experiment.
    """
    content = cfg.to_dict()
    content.pop('randomness', None)
    if isinstance(content['model'].get('teacher'), dict):
        content['model'] = dict(content['model'], teacher={k: v for k, v in content['model']['teacher'].items() if k != 'checkpoint'})
    return fingerprint(_without_seed(content))


def baseline_fingerprint(content: Mapping[str, Any]) -> str:
    """Twelve hex digits of what ``baseline_config`` gives."""
    return _digits(content)


def _digits(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def _names_a_part(key: str) -> bool:
    part, _, said = key.rpartition('_')
    return part in (*NAME_KEYS, 'method') and said in _OF_PARTS


def _without_seed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_seed(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_seed(v) for v in value]
    return re.sub(r'(stage_[^/]*_seed)\d+(?=/iter_)', r'\1', value) if isinstance(value, str) else value


# -- the baseline ----------------------------------------------------------------------------------------------------------
def baseline_config(
    config: Config | Mapping[str, Any], weights: Mapping[str, str | None] | None = None, role: str = 'student'
) -> dict[str, Any]:
    """What the student alone would be trained and tested by: ``config`` without methods, teachers, task weight, probe shape, seed and
    places of files, as plain json values.

    Two runs may be compared only where this is equal. An optimizer, schedule or loop for several roles is reduced to the student's part;
    a file that the student starts from counts by its content. How many processes read the data, and what is logged, does not count.

    Args:
        config: a training config, resolved.
        weights: ``{path: SHA-256 of the file}`` of what the student starts from; a path that is not there counts by its last three parts.
        role: a peer's, to have it instead of the student: what that network alone would be trained by.
    """
    cfg: dict[str, Any] = config.to_dict() if isinstance(config, Config) else dict(config)
    out: dict[str, Any] = {key: cfg[key] for key in _OF_BASELINE if cfg.get(key) is not None}
    out['model'] = _student_part(cfg['model'], role)
    if 'optim_wrapper' in out:
        out['optim_wrapper'] = _optimizer_part(out['optim_wrapper'], role)
    schedule = out.get('param_scheduler')
    if isinstance(schedule, Mapping) and 'type' not in schedule:
        schedule = schedule.get(role)
    if schedule is not None:
        out['param_scheduler'] = [schedule] if isinstance(schedule, Mapping) else schedule
    if type_name(out.get('train_cfg') or {}) == 'AlternateTrainLoop':  # turns of one network are plain steps
        out['train_cfg'] = dict(out['train_cfg'], type='IterBasedTrainLoop')
    for key in ('val_evaluator', 'test_evaluator'):
        if isinstance(out.get(key), Mapping):
            out[key] = {k: v for k, v in out[key].items() if k != 'peers'}
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if isinstance(out.get(key), Mapping):
            out[key] = {k: v for k, v in out[key].items() if k not in _LOADING}
    out['default_hooks'] = {k: v for k, v in (out.get('default_hooks') or {}).items() if k not in _LOGGING}
    out['randomness'] = {k: v for k, v in (out.get('randomness') or {}).items() if k != 'seed'}
    found: dict[str, Any] = _placeless(plain({k: v for k, v in out.items() if v not in (None, {}, [])}), weights or {})
    return found


def _student_part(model: Mapping[str, Any], role: str) -> dict[str, Any]:
    """The student of a Distiller's config (or a peer in its place), or a plain network as if it were one."""
    if 'student' not in model:
        return dict(student=_inline(model))
    out = dict(student=_inline(model['student'] if role == 'student' else teachers_of(model)[role]))
    preprocessor = {k: v for k, v in (model.get('data_preprocessor') or {}).items() if k not in _OF_TEACHERS}
    return dict(out, data_preprocessor=preprocessor) if preprocessor else out


def _inline(student: Any) -> Any:
    """A student's network and what it starts from, whichever way it is written: ``dict(cfg=…)``, ``dict(model=…)`` or the model itself."""
    from .networks import ROLE_KEYS  # which build networks: not needed to compare configs that are resolved

    if not isinstance(student, Mapping):
        return student
    student = dict(student)
    options = {k: student.pop(k) for k in ('checkpoint', 'strict', 'prefix') if k in student}
    network = {k: v for k, v in student.items() if k in ('cfg', 'model') or k not in ROLE_KEYS}
    if 'type' not in student and set(student) <= ROLE_KEYS and network:
        network = student.get('model') or student.get('cfg')
        if isinstance(network, str):
            try:
                network = load_config(network).model.to_dict()
            except UserError:  # of a run whose file has gone: its name is what is left
                network = student.get('cfg')
    if not options.get('checkpoint'):
        options = {}
    elif options.get('strict') is True:
        options.pop('strict')
    return dict(network=network, **options)


def _optimizer_part(wrapper: Mapping[str, Any], role: str) -> dict[str, Any]:
    """The optimizer of ``role`` of one for each role, written as one for all; defaults left out."""
    out = dict(wrapper)
    if str(out.get('constructor')).rpartition('.')[2] == 'PerRole':
        shared = {k: out[k] for k in ('accumulative_counts',) if k in out}
        out = dict(out.get(role) or {}, **shared, **(dict(type='vkd.CPUAmpOptimWrapper') if out.get('amp') else {}))
    out.setdefault('type', 'OptimWrapper')
    return {k: v for k, v in out.items() if v is not None and (k, v) != ('accumulative_counts', 1)}


def _placeless(value: Any, weights: Mapping[str, str | None], key: str = '') -> Any:
    """``value`` with files by content where ``weights`` has it, and folders by their last parts."""
    if isinstance(value, dict):
        idle = _IDLE.get(str(value.get('type')).rpartition('.')[2], ())
        return {k: _placeless(v, weights, k) for k, v in value.items() if k not in ('cache', 'cache_dir', *idle)}
    if isinstance(value, list):
        return [_placeless(v, weights, key) for v in value]
    if not isinstance(value, str):
        return value
    if key in _WEIGHTS:
        return f'sha256:{weights[value]}' if weights.get(value) else '/'.join(PurePath(value).parts[-3:])
    if key == 'data_root':
        return PurePath(value).name
    return '/'.join(PurePath(value).parts[-3:]) if PurePath(value).is_absolute() else value


def weight_files(model: Mapping[str, Any], load_from: str | None = None) -> list[str]:
    """The files that the networks of a config that learn start from, as it names them: each one's ``checkpoint``, those inside of it
    (``init_cfg``, ``pretrained``), and ``load_from``.
    """
    found = [load_from] if load_from else []
    stack: list[Any] = [model.get('student', model), *(role for role in teachers_of(model).values() if role.get('trainable'))]
    while stack:
        value = stack.pop()
        if isinstance(value, Mapping):
            found += [v for k, v in value.items() if k in _WEIGHTS and isinstance(v, str)]
            stack += value.values()
        elif isinstance(value, (list, tuple)):
            stack += value
    return list(dict.fromkeys(found))


# -- differences -----------------------------------------------------------------------------------------------------------
#: stands for a key that one of two configs lacks
ABSENT = '(absent)'


def differences(ours: Any, theirs: Any, path: str = '') -> Iterator[tuple[str, Any, Any]]:
    """``(dotted path, ours, theirs)`` of each place at which two plain configs differ, in order; lists of unequal length as a whole.

    >>> list(differences({'lr': 0.1, 'size': [1, 2]}, {'lr': 0.2, 'size': [1, 2]}))
    [('lr', 0.1, 0.2)]
    """
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in dict.fromkeys((*ours, *theirs)):
            yield from differences(ours.get(key, ABSENT), theirs.get(key, ABSENT), f'{path}.{key}' if path else str(key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(a, b, f'{path}.{i}')
    elif ours != theirs or isinstance(ours, bool) != isinstance(theirs, bool):
        yield path, ours, theirs


def told_difference(path: str, ours: Any, theirs: Any, longest: int = 60) -> str:
    """``optim_wrapper.optimizer.lr: 0.01 here, 0.001 alone``."""
    a, b = (v if v is ABSENT else json.dumps(v, ensure_ascii=False) for v in (ours, theirs))
    a, b = (text if len(text) <= longest else text[: longest - 1] + '…' for text in (a, b))
    return f'{path}: {a} here, {b} alone'


# -- configs of runs -------------------------------------------------------------------------------------------------------
def read_written_config(text: str) -> dict[str, Any] | None:
    """The dict of a config as a run writes it (assignments of plain values and ``dict(…)``), read without running it; None for any other
    text: a folder may be somebody else's.
    """
    try:
        return {
            statement.targets[0].id: literal(statement.value)  # type: ignore[attr-defined]  # of another kind: AttributeError, below
            for statement in ast.parse(text).body
            if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant)
        }
    except (SyntaxError, ValueError, AttributeError, RecursionError, MemoryError):
        return None


def literal(node: ast.AST) -> Any:
    """The value of a literal or of ``dict(key=literal)``. Raises ValueError for anything that would have to be run."""
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict' or node.args:
            raise ValueError('a call of something else than dict')
        out: dict[str, Any] = {}
        for keyword in node.keywords:
            value = literal(keyword.value)
            out.update(value if keyword.arg is None else {keyword.arg: value})
        return out
    if isinstance(node, ast.Dict):
        return {literal(k): literal(v) for k, v in zip(node.keys, node.values, strict=True) if k is not None}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [literal(v) for v in node.elts]
    return ast.literal_eval(node)
