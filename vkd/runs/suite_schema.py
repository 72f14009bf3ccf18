"""What a suite file may say: the rules of its keys, and what cannot stand together."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ..errors import UserError, nearest
from ..schema import (
    ANY,
    COUNT,
    OPTIONS,
    POSITIVE,
    TEXT,
    WHOLE,
    Rule,
    check_options,
    check_value,
    dict_of,
    either,
    list_of,
    one_of,
    optional,
)


def _is_plain(value: Any) -> bool:
    """Whether ``value`` can be written in json: what was tried stands in run.json."""
    try:
        return bool(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return False


_NAMES = Rule(either(TEXT, list_of(TEXT)).holds, 'a name or a list of names')
_NAMES_OR_NONE = Rule(optional(either(TEXT, list_of(optional(TEXT)))).holds, 'a name or a list of names')
_CONFIG = Rule(TEXT.holds, 'the path of a config')
_AFTER = dict_of(TEXT, 'a dict {dotted option: stage}')
_SPACE = Rule(
    lambda v: isinstance(v, Mapping) and bool(v) and dict_of(list_of(Rule(_is_plain, ''))).holds(v),
    'a dict {dotted option: [values]} of numbers, texts and lists of them',
)

SUITE = dict(
    title=optional(TEXT),
    name=optional(TEXT),
    main_metric=optional(TEXT),
    teachers=optional(dict_of(ANY, 'a dict {name: dict(config=path, seed=0, options={})}')),
    stages=optional(dict_of(ANY, 'a dict {name: dict(config=path, options={}, after={}, seed=None)}')),
    runs=list_of(ANY, wanted='a list of dict(method=…, student=…, config=…, seeds=[…])'),
    slurm=optional(OPTIONS),
)
_PROTOCOL = Rule(TEXT.holds, 'the name of a protocol, such as crops')

TEACHER = dict(config=_CONFIG, protocol=_PROTOCOL, seed=WHOLE, options=optional(OPTIONS))
STAGE = dict(config=_CONFIG, options=optional(OPTIONS), after=optional(_AFTER), seed=optional(WHOLE))
TUNE = dict(space=_SPACE, trials=COUNT, seed=WHOLE, metric=TEXT)
RUN = dict(
    method=_NAMES,
    student=_NAMES,
    teacher=_NAMES_OR_NONE,
    peer=_NAMES_OR_NONE,
    data=_NAMES_OR_NONE,
    config=_CONFIG,
    protocol=_PROTOCOL,
    seeds=list_of(WHOLE, wanted='a list of whole numbers, such as [0, 1, 2]'),
    options=optional(OPTIONS),
    label=optional(TEXT),
    after=optional(_AFTER),
    budgets=optional(list_of(POSITIVE, wanted='a list of numbers above 0, such as [1, 1.5, 2, 3]')),
    tune=optional(Rule(lambda v: isinstance(v, Mapping), 'dict(space={dotted option: [values]}, trials=N)')),
    control=optional(one_of('must help', 'cannot help')),
    part_of_method=optional(list_of(TEXT, wanted="a list of dotted paths, such as ['model.student.backbone.frozen']")),
)


def check_suite(owner: str, content: Mapping[str, Any]) -> None:
    """Checks what a suite file holds, ``owner`` in sentences, short of what its configs say. Raises UserError."""
    for name in content:
        meant = get_close_matches(name, set(SUITE) - set(content), n=1, cutoff=0.8)
        if meant and name not in SUITE and not name.startswith('_'):
            raise UserError(
                f"{owner}: unknown key {name!r}; {nearest(name, SUITE)}; begin a name of the file's own with an underscore.",
                code='unknown-key',
            )
    if not content.get('runs'):
        raise UserError(f'{owner} has no runs; add runs = [dict(method=…, student=…, config=…, seeds=[0, 1, 2])].')
    for name, rule in SUITE.items():
        if name in content:
            check_value(owner, name, content[name], rule)
    for name, entry in (content.get('teachers') or {}).items():
        check_options(f'{owner}: teacher {name!r}', entry, TEACHER, _config_of(entry))
        _not_both(f'{owner}: teacher {name!r}', entry)
    for name, entry in (content.get('stages') or {}).items():
        check_options(f'{owner}: stage {name!r}', entry, STAGE, ('config',))
    for i, entry in enumerate(content['runs'], 1):
        _check_run(f'{owner}: run {i}', entry)


def listed(value: Any) -> list:
    """``value``, or the values where it is a list."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def is_alone(method: str, entry: Mapping[str, Any]) -> bool:
    """Whether a run of a suite is the student alone: without a method, and without stages that it begins with."""
    return method == 'alone' and not entry.get('after')


def _check_run(owner: str, entry: Mapping[str, Any]) -> None:
    check_options(owner, entry, RUN, ('method', 'student', *_config_of(entry), 'seeds'))
    _not_both(owner, entry)
    if entry.get('protocol') and not all(listed(entry.get('data'))):
        raise UserError(f'{owner} has protocol {entry["protocol"]!r} without data; name the data too.')
    owner += f' ({entry.get("label") or entry["method"]})'
    _once(owner, 'seeds', entry['seeds'], 'would count one result as two')
    if any(listed(entry.get('teacher'))) and any(listed(entry.get('peer'))):
        raise UserError(
            f'{owner} has teacher {entry["teacher"]!r} and peer {entry["peer"]!r}; a teacher is trained first, a peer learns beside the '
            'student: keep one.'
        )
    alone = [is_alone(method, entry) for method in listed(entry['method'])]
    if entry.get('budgets'):
        _once(owner, 'budgets', entry['budgets'], 'would train one run twice')
        if not all(alone):
            raise UserError(
                f"{owner} has budgets {entry['budgets']!r}; only the student alone (method='alone', without stages) is trained longer: give "
                'them to its run.'
            )
    if any(alone):
        for key in ('control', 'part_of_method'):
            if entry.get(key):
                raise UserError(f'{owner} has {key} {entry[key]!r}, but is the student alone; give it to the run of a method.')
    for path in entry.get('part_of_method') or ():
        if not path.startswith('model.student.'):
            raise UserError(
                f"{owner}: part_of_method names {path!r}; what a method changes by design lies below 'model.student.': an optimizer or the "
                'data can never be a part of it.'
            )
    if entry.get('tune') is not None:
        check_options(f'{owner}: tune', entry['tune'], TUNE, ('space', 'trials'))
        for option, values in entry['tune']['space'].items():
            _once(f'{owner}: tune', f'values of {option!r}', values, 'would be tried twice')


def _config_of(entry: Any) -> tuple[str, ...]:
    """The key that says what is trained: a file, unless its config is composed of parts."""
    return ('protocol',) if isinstance(entry, Mapping) and 'protocol' in entry else ('config',)


def _not_both(owner: str, entry: Mapping[str, Any]) -> None:
    if 'config' in entry and 'protocol' in entry:
        raise UserError(
            f'{owner} has both config and protocol; give config, the path of a file, or protocol, to have one composed of parts.'
        )


def _once(owner: str, name: str, values: list, why: str) -> None:
    if any(value in values[:i] for i, value in enumerate(values)):
        raise UserError(f'{owner}: {name} {values!r} hold one twice, which {why}; name each once.')
