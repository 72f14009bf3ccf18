"""Run folders -> tables (md, csv, json) and one self-contained page of a suite."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..evaluation.scores import Score, score_of
from ..io.files import write_json, write_text
from ..runs.formats import FORMAT
from .external import runs_of
from .illustrations import illustrated
from .reading import read_baselines, read_runs, suite_part
from .records import Row, RunFacts, Table
from .render import render
from .rows import table
from .tables import frame, markdown, with_pages
from .words import by_protocol, controls, named, tally


def build(folder: str | Path, out: str | Path | None = None, title: str | None = None, metric: str | None = None) -> dict[str, str]:
    """Writes leaderboard.md, .csv, .json and .html of the runs below ``folder`` into ``out`` (default: ``folder``). Returns ``{kind:
    path}``.

    Raises UserError where there is no run.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f'Folder {str(folder)!r} does not exist; give a suite folder or a folder of run folders.', code='no-such-file')
    out = Path(out or folder)
    suite, profile = (suite_part(folder / name) for name in ('suite.json', 'profile.json'))
    title, metric = title or suite.get('title') or folder.name, metric or suite.get('main_metric') or 'mIoU'
    runs, notes = read_runs(folder)
    if not runs:
        raise UserError(
            f'Folder {str(folder)!r} holds no run of this vkd ({notes[0] if notes else "no run.json below it"}); run a suite, or vkd train.'
        )
    notes += _unfinished(suite, folder, runs)
    baselines = read_baselines(runs)
    score = score_of(metric, declared_scores(runs))
    found = table(runs, score, profile, baselines)
    sections = [illustrated(section, runs, score) for section in by_protocol(found, score)]
    told = controls(found.panels)
    paths = {kind: str(out / f'leaderboard.{kind}') for kind in ('md', 'csv', 'json', 'html')}
    write_text(paths['md'], markdown(title, sections, notes, score, told))
    write_text(paths['csv'], frame(found.rows, score).to_csv(index=False))
    shown = dict(title=title, score=score, sections=sections, notes=notes, suite=suite, profile=profile, controls=told)
    write_text(paths['html'], page(out, **shown, told=tally((row, score) for row in found.rows), **_configs(runs, folder, out)))
    content = dict(format=FORMAT, title=title, metric=metric, command=suite.get('command'), profile=profile, notes=notes)
    write_json(paths['json'], with_pages(dict(content, rows=[row.as_json() for row in found.rows], baselines=baselines), paths))
    return paths


def worked_out(content: Mapping[str, Any]) -> tuple[Score, Table]:
    """The main score and the rows of a leaderboard.json, from its runs and baselines alone."""
    runs = runs_of(content)
    score = score_of(content['metric'], declared_scores(runs))
    return score, table(runs, score, content.get('profile'), content.get('baselines'))


def declared_scores(runs: Iterable[RunFacts]) -> dict[str, dict[str, Any]]:
    """``{name: dict(unit, higher_is_better, digits)}`` of all scores that the metrics of ``runs`` declare."""
    return {name: own for run in runs for name, own in (run.scores or {}).items()}


def _unfinished(suite: Mapping[str, Any], folder: Path, runs: Sequence[RunFacts]) -> list[str]:
    """Sentences on cells of a suite that have not started, and on runs that failed."""
    cells, present = suite.get('cells') or [], {run.run for run in runs}
    pending = [c for c in cells if c not in present and not (folder / c / 'state.json').is_file()]
    out = [f'{len(pending)} of {len(cells)} runs have not started: {", ".join(pending)}.'] if pending else []
    return out + [f'{run.run} failed: {run.lines[-1] if run.lines else "no message"}' for run in runs if run.state == 'failed']


def _configs(runs: Sequence[RunFacts], folder: Path, out: Path) -> dict[str, dict[str, str]]:
    """``configs``, the text of each run's config, since a page that is written elsewhere may travel without the run folders, and
    ``links`` to their files, where they lie below the page.
    """
    files = {run.run: run.folder / 'config.py' for run in runs if run.folder and not run.external}
    files = {name: file for name, file in files.items() if file.is_file()}
    below = out.resolve() in (folder.resolve(), *folder.resolve().parents)
    return dict(
        configs={name: file.read_text(encoding='utf-8') for name, file in files.items()},
        links={name: os.path.relpath(file, out) for name, file in files.items()} if below else {},
    )


def page(out: Path, **content: Any) -> str:
    """The text of leaderboard.html in ``out``, with a way up where all tables have a page of their own. A section with ``kept`` shows that in
    place of its pictures, curves and runs.
    """
    configs, up = content.get('configs', {}), out.parent / 'board.html'
    return render(
        'leaderboard.html',
        first=lambda row: row.first,
        class_rows=class_rows,
        up='../board.html' if up.is_file() else None,
        with_config=lambda row: next((run.run for run in row.runs if run.run in configs), None),
        **content,
    )


def class_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What the table of classes shows of ``rows``."""
    return [
        dict(
            student=row.student,
            method=named(row),
            run=row.first.run,
            values=row.per_class,
            kind='teacher' if row.role == 'teacher' else 'alone' if row.method == 'alone' else '',
        )
        for row in rows
        if row.per_class
    ]
