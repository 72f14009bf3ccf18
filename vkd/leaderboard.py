"""Run folders -> tables (md, csv, json) and one self-contained page of a suite."""

import os
from pathlib import Path

from .errors import UserError
from .files import write_json, write_text
from .illustrations import illustrated
from .pages import render
from .results import read_runs, suite_part
from .run import FORMAT
from .tables import by_protocol, frame, markdown, named, table, with_pages


def build(folder, out=None, title=None, metric=None):
    """Writes leaderboard.md, .csv, .json and .html of the runs below ``folder`` into ``out`` (default: ``folder``). Returns ``{kind:
    path}``.

    Raises UserError where there is no run.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f'Folder {str(folder)!r} does not exist; give a suite folder or a folder of run folders.')
    out = Path(out or folder)
    suite, profile = (suite_part(folder / name) for name in ('suite.json', 'profile.json'))
    title, metric = title or suite.get('title') or folder.name, metric or suite.get('main_metric') or 'mIoU'
    runs, notes = read_runs(folder)
    if not runs:
        raise UserError(
            f'Folder {str(folder)!r} holds no run of this vkd ({notes[0] if notes else "no run.json below it"}); run a suite, or '
            'tools/train.py.'
        )
    cells = suite.get('cells') or []
    if cells:
        present = {r['run'] for r in runs}
        pending = [c for c in cells if c not in present and not (folder / c / 'state.json').is_file()]
        if pending:
            notes.append(f'{len(pending)} of {len(cells)} runs have not started: {", ".join(pending)}.')
    for run in runs:
        if run['state'] == 'failed':
            notes.append(f'{run["run"]} failed: {run["lines"][-1] if run["lines"] else "no message"}')
    # a page that is written elsewhere may travel without the run folders; it holds the configs itself
    files = {r['run']: r['folder'] / 'config.py' for r in runs if not r.get('external')}
    files = {name: file for name, file in files.items() if file.is_file()}
    links = {
        name: os.path.relpath(file, out) for name, file in files.items() if out.resolve() in (folder.resolve(), *folder.resolve().parents)
    }
    configs = {name: file.read_text(encoding='utf-8') for name, file in files.items()}
    rows = table(runs, profile, metric)
    sections = [illustrated(s, runs) for s in by_protocol(rows)]
    paths = {kind: str(out / f'leaderboard.{kind}') for kind in ('md', 'csv', 'json', 'html')}
    write_text(paths['md'], markdown(title, sections, notes, metric))
    write_text(paths['csv'], frame(rows, metric).to_csv(index=False))
    write_text(
        paths['html'],
        page(out, title=title, metric=metric, sections=sections, notes=notes, suite=suite, profile=profile, configs=configs, links=links),
    )
    write_json(
        paths['json'],
        with_pages(
            dict(format=FORMAT, title=title, metric=metric, command=suite.get('command'), rows=rows, profile=profile, notes=notes), paths
        ),
    )
    return paths


def page(out, **content):
    """The text of leaderboard.html in ``out``, with a way up where all tables have a page of their own."""
    configs, up = content['configs'], out.parent / 'board.html'
    return render(
        'leaderboard.html',
        first=first_done,
        class_rows=class_rows,
        up='../board.html' if up.is_file() else None,
        with_config=lambda row: next((f['run'] for f in row['runs'] if f['run'] in configs), None),
        **content,
    )


def class_rows(rows):
    """What the table of classes shows of ``rows``."""
    return [
        dict(
            student=r['student'],
            method=named(r),
            run=first_done(r)['run'],
            values=r['per_class'],
            kind='teacher' if r['role'] == 'teacher' else 'alone' if r['method'] == 'alone' else '',
        )
        for r in rows
        if r['per_class']
    ]


def first_done(row):
    """The first finished run of a row, or its first where none is finished."""
    return next((f for f in row['runs'] if f['state'] == 'done'), row['runs'][0])
