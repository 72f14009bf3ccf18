"""Results that others made: read as what anybody may have written, kept beside one's own and marked."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema

from ..errors import UserError
from ..evaluation.scores import KNOWN
from ..io.files import is_sealed, safe_name, sealed, write_json
from ..runs.formats import FORMAT, READS
from .records import KEY, Row, RunFacts

#: bytes of a leaderboard.json that is read; a thousand runs need about 5 MB
LARGEST = 20 * 2**20


def _null(**schema: Any) -> dict[str, Any]:
    return dict(anyOf=[schema, dict(type='null')])


def _list(items: dict[str, Any], most: int) -> dict[str, Any]:
    return dict(type='array', maxItems=most, items=items)


#: of names and of scores' names: no HTML, no way out of a folder
_NAME = dict(type='string', pattern=r'^(?!.*\.\.)[^<>&"`\\/\x00-\x1f]{1,120}\Z')
_TEXT = dict(type='string', pattern=r'^(?!.*\.\.)[^<>&"`\\\x00-\x1f]{0,200}\Z')
#: of a relative path, in which nothing leads upwards
_PATH = _null(type='string', pattern=r'^(?!/)(?!.*\.\.)[\w +.,()=/:-]{0,300}\Z')
_COMMAND = dict(type='string', pattern=r'^[\w +.,()=/:\'"\[\]{}-]{0,2000}\Z')
_HASH = _null(type='string', pattern=r'^[0-9a-f]{0,64}\Z')
_COUNT = _null(type='integer', minimum=0, maximum=10**9)
_NUMBER = _null(type='number', minimum=-1e6, maximum=1e6)
_PERCENT = _null(type='number', minimum=0, maximum=100)
_PLAIN = dict(anyOf=[_NUMBER, _TEXT, dict(type='boolean')])
_FACTS = _null(type='object', maxProperties=30, propertyNames=_NAME, additionalProperties=_PLAIN)
_OWN = {'$ref': '#/$defs/scores'}
#: any json of plain numbers and names, such as a config
_ANY = {'$ref': '#/$defs/any'}
_SCORES = dict(
    type='object',
    maxProperties=10000,
    propertyNames=_TEXT,
    properties=dict(
        images=_COUNT,
        classes=_list(_TEXT, 1000),
        IoU=_list(_PERCENT, 1000),
        **{
            part: dict(type='object', maxProperties=100, propertyNames=_NAME, additionalProperties=_OWN)
            for part in ('domains', 'sets', 'peers')
        },
    ),
    # shares, by what declares them; IoU and Acc stand for lists of all classes
    patternProperties={rf'^({"|".join(n for n, s in KNOWN.items() if s.unit == "%" and n not in ("IoU", "Acc"))})(_|\.|$)': _PERCENT},
    additionalProperties=dict(anyOf=[_PLAIN, _list(_PLAIN, 1000), _OWN]),
)
#: of corruptions.json and attacks.json, whose cells are 'clean' and '<name>-<strength>'
_VARIANTS = _null(
    type='object',
    maxProperties=20,
    propertyNames=_NAME,
    dependentRequired=dict(summary=['cells']),
    properties=dict(
        cells=dict(
            type='object', maxProperties=1000, propertyNames=dict(pattern=r'^(clean|\w{1,60}-[0-9.]{1,12})\Z'), additionalProperties=_OWN
        ),
        summary=dict(
            type='object',
            required=['corrupted', 'relative'],
            properties=dict(clean=_PERCENT, corrupted=_PERCENT, relative=_NUMBER),
            additionalProperties=_OWN,
        ),
    ),
    additionalProperties=_PLAIN,
)
_RUN = dict(
    type='object',
    required=['run', 'seed', 'state', 'test'],
    additionalProperties=False,
    properties=dict(
        run=dict(type='string', pattern=r'^(?!/)(?!.*\.\.)[^<>&"`\\\x00-\x1f]{1,200}\Z'),  # of a folder of suites it holds a slash
        seed=_COUNT,
        state=dict(enum=['done', 'failed', 'running', 'missing']),
        command=_COMMAND,
        config=_PATH,
        fingerprint=_HASH,
        **dict.fromkeys(('experiment', 'baseline'), _HASH),
        named_by=_null(**_list(_NAME, 10)),
        budget=_null(type='number', exclusiveMinimum=0, maximum=1000),
        tuning=_null(type='object', maxProperties=10, additionalProperties=_ANY),
        control=_null(enum=['must help', 'cannot help']),
        part_of_method=_null(**_list(_NAME, 100)),
        scores=_null(
            type='object',
            maxProperties=100,
            propertyNames=_NAME,
            additionalProperties=dict(
                type='object',
                additionalProperties=False,
                properties=dict(unit=_TEXT, higher_is_better=dict(type='boolean'), digits=dict(type='integer', minimum=0, maximum=9)),
            ),
        ),
        seconds=_null(type='number', minimum=0),
        git=_FACTS,
        versions=_FACTS,
        hardware=_FACTS,
        lines=_list(dict(type='string', maxLength=10000), 100),
        **dict.fromkeys(('max_iters', 'batch_size', 'processes'), _COUNT),
        teacher_checkpoint=_PATH,
        teacher_sha256=_HASH,
        data_sha256=_null(type='object', propertyNames=dict(enum=['train', 'test']), additionalProperties=_HASH),
        synthetic_text=_null(type='boolean'),
        **dict.fromkeys(('corruptions', 'attacks'), _VARIANTS),
        **dict.fromkeys(('test', 'val'), _OWN),
    ),
)
_ROW = dict(
    type='object',
    required=['data', 'protocol', 'student', 'teacher', 'method', 'role', 'runs'],
    properties=dict(
        **dict.fromkeys(('data', 'protocol', 'student', 'method'), _NAME),
        teacher=_null(**_NAME),
        role=dict(enum=['student', 'teacher', 'ensemble']),
        runs=dict(_list(_RUN, 100), minItems=1),
    ),
)
SCHEMA = {
    '$schema': 'https://json-schema.org/draft/2020-12/schema',
    '$defs': dict(
        scores=_SCORES,
        any=dict(
            anyOf=[
                _TEXT,
                dict(type=['number', 'boolean', 'null']),
                _list(_ANY, 10000),
                dict(type='object', maxProperties=10000, propertyNames=_TEXT, additionalProperties=_ANY),
            ]
        ),
    ),
    **dict(
        type='object',
        required=['format', 'metric', 'rows', 'digest'],
        properties=dict(
            format=dict(enum=list(READS)),
            metric=_NAME,
            rows=dict(_list(_ROW, 2000), minItems=1),
            digest=_HASH,
            baselines=dict(type='object', maxProperties=1000, propertyNames=dict(pattern=r'^[0-9a-f]{12}\Z'), additionalProperties=_ANY),
        ),
    ),
}


def read_results(file: str | Path) -> dict[str, Any]:
    """The content of a leaderboard.json that anybody may have written, checked against ``SCHEMA``.

    Raises UserError, which names the place, for one that is too large, no json, of another schema, with nan, HTML, or a path that leads out
    of its folder.
    """
    file = Path(file)
    if not file.is_file():
        raise UserError(f'Results {str(file)!r} do not exist; give the leaderboard.json of a table.')
    if file.stat().st_size > LARGEST:
        raise UserError(
            f'Results {str(file)!r} have {file.stat().st_size} bytes, more than {LARGEST}; send the table of one suite at a time.'
        )

    def refuse(constant: str) -> Any:
        raise ValueError(f'it holds {constant}, which is no result')

    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding='utf-8'), parse_constant=refuse)
        jsonschema.validate(content, SCHEMA, cls=jsonschema.Draft202012Validator)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f'Results {str(file)!r} are no json that can be read ({error}); send the leaderboard.json as vkd leaderboard wrote it.'
        ) from None
    except jsonschema.ValidationError as error:
        raise UserError(
            f'Results {str(file)!r}: at {error.json_path}, {str(error.instance)[:80]!r} is not what this schema (format {FORMAT}) has '
            f'there ({error.validator}); '
            'send the leaderboard.json as this version of vkd leaderboard writes it.'
        ) from None
    return content


def runs_of(content: Mapping[str, Any]) -> list[RunFacts]:
    """The runs of leaderboard.json's rows, as ``reading.read_runs`` gives them."""
    return [run for row in content['rows'] for run in Row.from_json(row).runs]


def submit(file: str | Path, folder: str | Path, source: str, known: Collection[tuple[str, str]]) -> Path:
    """Keeps the results of ``file`` as those of ``source`` in ``folder / 'external'``; returns the path.

    Only finished runs that are compared with something here are taken: each row's data and protocol must be among ``known``, ``[(data,
    protocol)]``. Their runs stand in rows of their own, marked as external, and are compared with the source's own student alone. Where the
    source sent the same run before with other numbers, the first stays, and this is refused.

    Raises UserError.
    """
    content, name = read_results(file), safe_name(source)
    if not is_sealed(content):
        raise UserError(
            f'Results {str(file)!r}: its digest does not fit its content, so it was changed after it was made; send it as '
            'vkd leaderboard wrote it.'
        )
    runs = [replace(run, run=f'{name}-{run.run}') for run in runs_of(content) if run.done]  # theirs may be called as ours
    if not runs:
        raise UserError(f'Results {str(file)!r} hold no finished run; send a table with scores.')
    for run in runs:
        if run.external:
            raise UserError(
                f'Results {str(file)!r}: {run.run!r} is of another source itself ({run.external!r}); let those who ran it send it.'
            )
        if (run.data, run.protocol) not in known:
            raise UserError(
                f'Results {str(file)!r}: {run.run!r} is of protocol {run.protocol!r} on {run.data!r}, and this table has '
                f'{", ".join(f"{p} on {d}" for d, p in sorted(known))}; numbers of two protocols stand in no common table.'
            )
    target = Path(folder, 'external', f'{name}.json')
    kept = read_submission(target) if target.is_file() else dict(runs=[])
    before = {_identity(run): run for run in (RunFacts.from_json(own) for own in kept['runs'])}
    for run in runs:
        if before.get(_identity(run), run).test != run.test:
            raise UserError(
                f'Results {str(file)!r}: {run.run!r} of {source!r} is here already with other numbers; the first stays: remove '
                f'{str(target)!r} to replace them all.'
            )
    merged = {**{_identity(run): replace(run, external=name) for run in runs}, **before}.values()
    written = [dict(run.as_json(), **{k: getattr(run, k) for k in (*KEY, 'role', 'external')}) for run in merged]
    baselines = {**content.get('baselines', {}), **kept.get('baselines', {})}
    write_json(target, sealed(dict(format=FORMAT, source=name, metric=content['metric'], runs=written, baselines=baselines)))
    return target


def _identity(run: RunFacts) -> tuple[str, ...]:
    return tuple(str(getattr(run, k)) for k in (*KEY, 'role', 'budget', 'seed', 'experiment'))


def read_submission(file: str | Path) -> dict[str, Any]:
    """What ``submit`` wrote. Raises UserError where it was changed."""
    try:
        content = json.loads(Path(file).read_text(encoding='utf-8'))
    except ValueError:
        content = None
    if not is_sealed(content):
        raise UserError(f'Results of others in {str(file)!r} were changed, or are broken; remove the file and submit them again.')
    return content
