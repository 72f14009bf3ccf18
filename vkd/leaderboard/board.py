"""All tables of a folder on one page: a tab per field, gains with verdicts, scores against costs, each suite's page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..evaluation.scores import Score
from ..io.files import is_sealed, read_json, write_text
from .external import runs_of
from .pages import worked_out
from .records import Row
from .render import render
from .scatter import scatter_layout
from .tables import cell, human, in_words
from .words import by_protocol, controls, legend, named, tally, with_unit

#: tabs, in order
FIELDS = ('Segmentation', 'Zero-shot', 'Domains and robustness', 'Super-resolution', 'Sparse-view CT')
#: what cannot be run here, and why: rows without numbers
EMPTY = 'not_run.json'
#: between which a README.md beside the board has the list of tables
MARKS = '<!-- tables -->', '<!-- end of tables -->'


def build_board(folder: str | Path, title: str = 'vkd: does distillation pay?') -> Path:
    """Writes ``folder / 'board.html'`` of the tables (``leaderboard.json``) in the folders below it. Returns the path.

    A ``README.md`` beside them with the lines of ``MARKS`` gets what each table says between these. ``not_run.json`` beside them, ``[dict(field, suite, reason)]``, names what has no numbers and why.

    Raises UserError where there is no table, where one is broken or was changed after it was written, or for an unknown field.
    """
    folder = Path(folder)
    suites = [_suite(file, folder) for file in sorted(folder.glob('*/leaderboard.json'))]
    if not suites:
        raise UserError(f'Folder {str(folder)!r} holds no table (*/leaderboard.json); build some by vkd leaderboard build.')
    try:
        empty = read_json(folder / EMPTY, [])
    except ValueError as error:
        raise UserError(f'{str(folder / EMPTY)!r} is no json ({error}); fix it.') from None
    wrong = next((e for e in empty if not isinstance(e, dict) or set(e) != {'field', 'suite', 'reason'} or e['field'] not in FIELDS), None)
    if wrong:
        raise UserError(f'{str(folder / EMPTY)!r}: {wrong} is no dict(field, suite, reason) with a field of {", ".join(FIELDS)}; fix it.')
    tabs = []
    for name in FIELDS:
        own = [s for s in suites if s['field'] == name]
        tabs.append(
            dict(
                name=name,
                id=name.lower().replace(' ', '-'),
                suites=own,
                told=tally(_rows(own)),
                empty=[e for e in empty if e['field'] == name],
            )
        )
    guide = '../numbers.md#intervals-and-verdicts' if (folder.parent / 'numbers.md').is_file() else None
    write_text(
        folder / 'board.html',
        render('board.html', title=title, told=tally(_rows(suites)), guide=guide, tabs=[t for t in tabs if t['suites'] or t['empty']]),
    )
    _write_summary(folder / 'README.md', suites)
    return folder / 'board.html'


def _write_summary(file: Path, suites: Sequence[Mapping[str, Any]]) -> None:
    """Writes what each table says into a README.md beside the board, between its two marks; without them nothing."""
    text = file.read_text(encoding='utf-8') if file.is_file() else ''
    before, begin, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if begin and end:
        lines = [line for suite in suites for line in _summary(suite)]
        write_text(file, '\n'.join([before + begin, '', *lines]) + '\n' + end + after)


def _summary(suite: Mapping[str, Any]) -> list[str]:
    lines = [f'- **[{cell(suite["title"])}]({suite["page"]}/leaderboard.md)**']
    lines[0] += f', `{suite["command"]}`' if suite['command'] else ''
    several = len(suite['sections']) > 1
    for s in suite['sections']:
        where = f'{s["data"]}, protocol {s["protocol"]}; ' if several else ''
        lines += [f'    - {cell(where + told)}' for told in in_words(s['rows'], suite['score'])]
    return lines


def field(content: Mapping[str, Any]) -> str:
    """The tab of a leaderboard.json, by the scores that its runs have."""
    tests = [run.test for run in runs_of(content)]
    sets = [own for test in tests for own in (test.get('sets') or {}).values()]
    if sets:
        return 'Sparse-view CT' if any('RMSE' in own for own in sets) else 'Super-resolution'
    if any('mIoU_unseen' in test for test in tests):
        return 'Zero-shot'
    return 'Domains and robustness' if any(test.get('domains') for test in tests) else 'Segmentation'


def _suite(file: Path, folder: Path) -> dict[str, Any]:
    try:
        content = read_json(file)
    except ValueError:
        content = None
    if not is_sealed(content):
        raise UserError(
            f'{str(file)!r} is broken, was changed after it was written, or was written by an older vkd; build the table again by '
            'vkd leaderboard.'
        )
    score, found = worked_out(content)
    sections = [
        dict(s, legend=legend(s['rows'], networks=False) + s['told'], plots=_plots(s['rows'], score), classes=_class_gains(s['rows']))
        for s in by_protocol(found, score)
    ]
    return dict(
        name=file.parent.name,
        title=content['title'],
        score=score,
        command=content.get('command'),
        field=field(content),
        sections=sections,
        controls=controls(found.panels),
        page=file.parent.relative_to(folder).as_posix(),
    )


def _rows(suites: Sequence[Mapping[str, Any]]) -> list[tuple[Row, Score]]:
    return [(row, suite['score']) for suite in suites for s in suite['sections'] for row in s['rows']]


def _plots(rows: Sequence[Row], score: Score) -> list[dict[str, Any]]:
    """Scores against parameters, where students are of several sizes, and of each student's rows against the cost of a step."""
    up, sizes = with_unit(score.name, score.name), {row.params for row in rows if row.role == 'student' and row.params}
    known = [row for row in rows if row.mean is not None]

    def point(row: Row, x: float, label: str) -> dict[str, Any]:
        return dict(
            x=x,
            y=row.mean,
            half=row.interval,
            label=label,
            kind='teacher' if row.role == 'teacher' else 'alone' if row.method == 'alone' else 'distilled',
        )

    sized = [
        point(row, row.params, f'{row.student} {named(row)}' if row.role == 'student' else f'{row.student} (teacher)')
        for row in known
        if row.params and row.role in ('student', 'teacher')
    ]
    out = [
        scatter_layout(
            sized if len(sizes) > 1 else [], f'{score.name} against parameters', 'parameters', up, human, best_is_low=score.sign < 0
        )
    ]
    for student in dict.fromkeys(row.student for row in known if row.role == 'student'):
        own = [(row, row.step) for row in known if row.role == 'student' and row.student == student and row.step]
        out.append(
            scatter_layout(
                [point(row, step * row.budget, named(row)) for row, step in own],
                f'{student}: {score.name} against the cost of training',
                'time of a step x iterations ÷ those of the student alone',
                up,
                best_is_low=score.sign < 0,
            )
        )
    return [plot for plot in out if plot]


def _class_gains(rows: Sequence[Row]) -> dict[str, Any]:
    """``dict(classes, largest, rows=[dict(student, method, values)])``: IoU per class less that of the same student alone, in points, of
    the rows whose gain is not withheld.
    """
    alone = {(row.student, row.external): row for row in rows if row.alone and row.budget == 1 and row.per_class}
    found: list[dict[str, Any]] = []
    for row in rows:
        base = alone.get((row.student, row.external))
        if row.gain and row.gain.value is not None and base and row.per_class and row.classes == base.classes:
            pairs = zip(row.per_class, base.per_class, strict=True)
            gains = [None if a is None or b is None or a == b == 0 else a - b for a, b in pairs]
            found.append(dict(student=row.student, method=named(row), values=gains))
    largest = max((abs(g) for own in found for g in own['values'] if g is not None), default=0)
    return dict(classes=next((row.classes for row in rows if row.per_class), []), rows=found, largest=largest or 1)
