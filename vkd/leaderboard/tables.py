"""Rows as a markdown page, as a csv file, and as the json that says all of it."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from ..evaluation.scores import Score
from ..io.files import sealed, sha256
from .records import Gain, Row
from .words import VERDICTS, digits, extra_columns, gain_head, named, remarks, score_head, verdict, with_unit


# -- numbers ---------------------------------------------------------------------------------------------------------------
def number(value: Any, digits: int = 2, sign: bool = False) -> str:
    """``value`` with so many digits after the point, '–' for what is no number; a rounded zero has no sign."""
    if not isinstance(value, (int, float)):
        return '–'
    text = f'{value:{"+" if sign else ""}.{digits}f}'
    return (text if float(text) else text.lstrip('+-')).replace('-', '−')


def human(value: float | None) -> str:
    """``12345678`` -> ``12.3 M``."""
    if value is None:
        return '–'
    for size, unit in ((1e9, 'G'), (1e6, 'M'), (1e3, 'k')):
        if value >= size:
            return f'{value / size:.3g} {unit}'
    return f'{value:.3g}'


def with_interval(mean: float | None, half: float | None, digits: int = 2, sign: bool = False) -> str:
    """``25.17 ± 1.20``."""
    return number(mean, digits, sign) + (f'\u00a0±\u00a0{number(half, digits)}' if half is not None else '')


def _gain(gain: Gain | None, score: Score) -> str:
    return '–' if gain is None or gain.value is None else with_interval(gain.value, gain.half, score.digits, True)


def in_words(rows: Sequence[Row], score: Score) -> list[str]:
    """A line for each student of ``rows``: what it has alone, and its gains by verdict."""
    out = []
    for student in dict.fromkeys(row.student for row in rows if row.role == 'student'):
        own = [row for row in rows if row.role == 'student' and row.student == student]
        alone = [
            f'alone {with_interval(row.mean, row.interval, score.digits)} ({len(row.seeds)} seed{"s" * (len(row.seeds) > 1)})'
            for row in own
            if row.alone and row.budget == 1 and row.mean is not None
        ]
        parts = [', '.join(alone) or 'not run alone']
        by: dict[str, list[str]] = {}
        for row in own:
            if row.gain:
                shown = f'{named(row)} {_gain(row.gain, score)}' if row.gain.value is not None else named(row)
                by.setdefault(verdict(row.gain, score), []).append(shown)
        parts += [f'{what}: {", ".join(methods)}' for what, methods in by.items()]
        out.append(f'{student} ({score.name}{f", {score.unit}" if score.unit else ""}): {"; ".join(parts)}.')
    return out


# -- csv -------------------------------------------------------------------------------------------------------------------
def frame(rows: Sequence[Row], score: Score) -> pd.DataFrame:
    """The table as a pandas DataFrame of plain values."""
    extra = extra_columns(rows, score.name)
    equal_cost = any(row.equal_cost for row in rows)
    out: pd.DataFrame = pd.DataFrame([_record(row, score, extra, equal_cost) for row in rows])
    return out


def _record(row: Row, score: Score, extra: Mapping[str, str], equal_cost: bool) -> dict[str, Any]:
    gain, cost = row.gain or Gain(), row.equal_cost or Gain()
    return {
        'data': row.data,
        'protocol': row.protocol,
        'role': row.role,
        'student': row.student,
        'teacher': row.teacher,
        'method': named(row),
        'seeds': len(row.seeds),
        score.name: row.mean,
        f'{score.name}_interval95': row.interval,
        'gain': gain.value,
        'gain_interval95': gain.half,
        'gain_note': '; '.join(filter(None, [verdict(row.gain, score), *remarks(row)])),
        **(
            {'equal_cost_gain': cost.value, 'equal_cost_interval95': cost.half, 'equal_cost_note': verdict(row.equal_cost, score)}
            if equal_cost
            else {}
        ),
        'mAcc': row.mAcc,
        'aAcc': row.aAcc,
        **{key: row.extra.get(key) for key in extra.values()},
        'params': row.params,
        'flops': row.flops,
        'latency_ms': row.latency_ms,
        'step_ratio': row.step,
        'trials': row.trials,
        'failed': len(row.failed),
        'unfinished': len(row.unfinished),
    }


# -- markdown --------------------------------------------------------------------------------------------------------------
def markdown_lines(heads: Sequence[Any], rows: Iterable[Sequence[Any]]) -> list[str]:
    """The lines of a markdown table, its cells made safe."""
    return [
        '| ' + ' | '.join(map(cell, heads)) + ' |',
        '|---' * len(heads) + '|',
        *('| ' + ' | '.join(map(cell, row)) + ' |' for row in rows),
    ]


def markdown_table(rows: Sequence[Row], score: Score, networks: bool = True) -> list[str]:
    """Lines of ``rows``' table; without the columns of what a network costs where not ``networks``."""
    extra, equal_cost = extra_columns(rows, score.name), any(row.equal_cost for row in rows)
    heads = [
        'student',
        'teacher or peer',
        'method',
        'seeds',
        f'{score_head(rows, score)} (95 %)',
        f'{gain_head(score)} (95 %)',
        'verdict',
        *['at equal cost (95 %)', 'verdict at equal cost'] * equal_cost,
        *['parameters', 'FLOPs', 'latency'] * networks,
        'step ÷ alone',
        *(with_unit(head, key) for head, key in extra.items()),
    ]
    return markdown_lines(heads, (_cells(row, score, extra, equal_cost, networks) for row in rows))


def _cells(row: Row, score: Score, extra: Mapping[str, str], equal_cost: bool, networks: bool) -> list[str]:
    status = ''.join(f'; {len(found)} {name}' for name, found in (('failed', row.failed), ('unfinished', row.unfinished)) if found)
    latency = '–' if row.latency_ms is None else f'{number(row.latency_ms, 1)} ms'
    return [
        row.student,
        row.teacher or '–',
        named(row),
        f'{len(row.seeds)}{status}',
        with_interval(row.mean, row.interval, score.digits),
        _gain(row.gain, score),
        '; '.join(filter(None, [verdict(row.gain, score), *remarks(row)])) or '–',
        *[_gain(row.equal_cost, score), verdict(row.equal_cost, score) or '–'] * equal_cost,
        *[human(row.params), human(row.flops), latency] * networks,
        number(row.step),
        *(number(row.extra.get(key), digits(key)) for key in extra.values()),
    ]


def markdown(title: str, sections: Sequence[Mapping[str, Any]], notes: Sequence[str], score: Score, told: Sequence[str] = ()) -> str:
    """The tables of ``sections`` (``words.by_protocol``) as a markdown page; ``told`` stands on top."""
    lines = [
        f'# {cell(title)}',
        '',
        *[line for text in told for line in (f'**{cell(text)}**', '')],
        'The same with curves and pictures: [leaderboard.html](leaderboard.html); for programs: '
        '[csv](leaderboard.csv), [json](leaderboard.json).',
        '',
        VERDICTS,
        '',
    ]
    for section in sections:
        lines += [f'## {cell(section["data"])}, protocol {cell(section["protocol"])}', '', section['caption'], '']
        lines += [*markdown_table(section['rows'], score), '']
        lines += [' '.join(map(cell, section['legend'])), ''] * bool(section['legend'])
        lines += _classes(section['rows']) + _runs(section['rows'], score)
    lines += [f'- {cell(n)}' for n in notes] + [''] * bool(notes)
    return '\n'.join(lines)


def _classes(rows: Sequence[Row]) -> list[str]:
    classes = next((row.classes for row in rows if row.classes), [])
    if not classes:
        return []
    own = ([row.student, named(row), *(number(v, 1) for v in row.per_class)] for row in rows if row.per_class)
    return ['IoU per class, %, mean over seeds:', '', *markdown_lines(['student', 'method', *classes], own), '']


def _runs(rows: Sequence[Row], score: Score) -> list[str]:
    lines = ['Each run, and the command that makes it again:', '', f'| run | {cell(score_head(rows, score))} | command |', '|---|---|---|']
    for row in rows:
        for run in row.runs:
            shown = number(run.test.get(score.name), score.digits) if run.done else cell(run.state)
            lines.append(f'| {cell(run.run)} | {shown} | {code(run.command)} |')
    return [*lines, '']


def cell(text: Any) -> str:
    """Text of a markdown cell: what a label holds must not end the cell, nor be html, a link or a picture."""
    return re.sub(r'([\\|\[\]])', r'\\\1', _no_html(text))


def code(text: Any) -> str:
    """Code in a markdown cell, ended by nothing that it holds, and no html even where a reader of markdown looks for html first."""
    return f'`{_no_html(text)}`'.replace('|', '\\|')


def _no_html(text: Any) -> str:
    return str(text).replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;').replace('\n', ' ').replace('`', "'")


# -- json ------------------------------------------------------------------------------------------------------------------
def with_pages(content: Mapping[str, Any], paths: Mapping[str, str]) -> dict[str, Any]:
    """leaderboard.json's ``content``, sealed, with the digests of the other files of its page."""
    return sealed(finite(dict(content, files={kind: sha256(path) for kind, path in paths.items() if kind != 'json'})))


def finite(value: Any) -> Any:
    """json without NaN or paths."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
