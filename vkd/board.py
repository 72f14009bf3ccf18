"""All tables of a folder on one page: a tab per field, gains with verdicts, scores against costs, each suite's page."""

from pathlib import Path

from .errors import UserError
from .files import is_sealed, read_json, write_text
from .pages import render
from .scatter import scatter_layout
from .submit import runs_of
from .tables import by_protocol, human, legend, named, tally, with_unit

#: tabs, in order
FIELDS = ('Segmentation', 'Zero-shot', 'Domains and robustness', 'Super-resolution', 'Sparse-view CT')
#: what cannot be run here, and why: rows without numbers
EMPTY = 'not_run.json'


def build_board(folder, title='vkd: does distillation pay?'):
    """Writes ``folder / 'board.html'`` of the tables (``leaderboard.json``) in the folders below it. Returns the path.

    ``not_run.json`` beside them, ``[dict(field, suite, reason)]``, names what has no numbers and why.

    Raises UserError where there is no table, where one is broken or was changed after it was written, or for an unknown field.
    """
    folder = Path(folder)
    suites = [_suite(file, folder) for file in sorted(folder.glob('*/leaderboard.json'))]
    if not suites:
        raise UserError(f'Folder {str(folder)!r} holds no table (*/leaderboard.json); build some by tools/leaderboard.py build.')
    try:
        empty = read_json(folder / EMPTY, [])
    except ValueError as error:
        raise UserError(f'{str(folder / EMPTY)!r} is no json ({error}); mend it.') from None
    wrong = next((e for e in empty if not isinstance(e, dict) or set(e) != {'field', 'suite', 'reason'} or e['field'] not in FIELDS), None)
    if wrong:
        raise UserError(f'{str(folder / EMPTY)!r}: {wrong} is no dict(field, suite, reason) with a field of {", ".join(FIELDS)}; mend it.')
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
    return folder / 'board.html'


def field(content):
    """The tab of a leaderboard.json: by its metric, and by the scores that its runs have."""
    tests = [run['test'] for run in runs_of(content)]
    if content['metric'] == 'PSNR':
        return 'Sparse-view CT' if any('RMSE' in own for t in tests for own in (t.get('sets') or {}).values()) else 'Super-resolution'
    if any('mIoU_unseen' in t for t in tests):
        return 'Zero-shot'
    return 'Domains and robustness' if any(t.get('domains') for t in tests) else 'Segmentation'


def _suite(file, folder):
    try:
        content = read_json(file)
    except ValueError:
        content = None
    if not is_sealed(content):
        raise UserError(
            f'{str(file)!r} is broken, was changed after it was written, or was written by an older vkd; build the table again by '
            'tools/leaderboard.py.'
        )
    sections = [
        dict(s, legend=legend(s['rows'], networks=False), plots=_plots(s['rows'], content['metric']), classes=_class_gains(s['rows']))
        for s in by_protocol(content['rows'])
    ]
    return dict(
        name=file.parent.name,
        title=content['title'],
        metric=content['metric'],
        command=content.get('command'),
        field=field(content),
        sections=sections,
        page=file.parent.relative_to(folder).as_posix(),
    )


def _rows(suites):
    return [r for suite in suites for s in suite['sections'] for r in s['rows']]


def _plots(rows, metric):
    """Scores against parameters, where students are of several sizes, and of each student's rows against the cost of a step."""
    up, sizes = with_unit(metric, metric), {r['params'] for r in rows if r['role'] == 'student' and r['params']}
    known = [r for r in rows if r['mean'] is not None]

    def point(row, x, label):
        return dict(
            x=x,
            y=row['mean'],
            half=row['interval'],
            label=label,
            kind='teacher' if row['role'] == 'teacher' else 'alone' if row['method'] == 'alone' else 'distilled',
        )

    out = [
        scatter_layout(
            [
                point(r, r['params'], f'{r["student"]} {named(r)}' if r['role'] == 'student' else f'{r["student"]} (teacher)')
                for r in known
                if r['params'] and r['role'] in ('student', 'teacher')
            ]
            if len(sizes) > 1
            else [],
            f'{metric} against parameters',
            'parameters',
            up,
            human,
        )
    ]
    for student in dict.fromkeys(r['student'] for r in known if r['role'] == 'student'):
        own = [r for r in known if r['role'] == 'student' and r['student'] == student and r['step']]
        out.append(
            scatter_layout(
                [point(r, r['step'], named(r)) for r in own],
                f'{student}: {metric} against the cost of a training step',
                'time of a step ÷ that of the student alone',
                up,
            )
        )
    return [plot for plot in out if plot]


def _class_gains(rows):
    """``dict(classes, largest, rows=[dict(student, method, values)])``: IoU per class less that of the same student alone, in points, of
    the rows whose gain is not withheld.
    """
    alone = {(r['student'], r.get('external')): r for r in rows if r['role'] == 'student' and r['method'] == 'alone' and r['per_class']}
    found = []
    for r in rows:
        base = alone.get((r['student'], r.get('external')))
        if r['gain'] is not None and base and r['per_class'] and r['classes'] == base['classes']:
            gains = [None if a is None or b is None or a == b == 0 else a - b for a, b in zip(r['per_class'], base['per_class'])]
            found.append(dict(student=r['student'], method=named(r), values=gains))
    largest = max((abs(g) for r in found for g in r['values'] if g is not None), default=0)
    return dict(classes=next((r['classes'] for r in rows if r['per_class']), []), rows=found, largest=largest or 1)
