"""Whether a table still says what its runs said."""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..errors import UserError
from ..evaluation.scores import Score
from ..io.files import is_sealed, read_json, sha256, write_json, write_text
from ..runs.formats import FORMAT
from .external import runs_of
from .pages import page, worked_out
from .reading import read_baselines, read_runs
from .records import Row, Table
from .tables import finite, frame, markdown, with_pages
from .words import by_protocol, controls, tally

#: by as much may a number that is worked out again differ, relatively: other versions of numpy and scipy round otherwise
CLOSE = 1e-9


def verify(folder: str | Path, runs: str | Path | None = None) -> list[str]:
    """Sentences on what does not fit in the table in ``folder`` (leaderboard.json and the pages beside it); empty where all does.

    The digests of the page's files and of the content must fit, and the rows, worked out again from the scores of the runs and the configs
    of the baselines that leaderboard.json holds, must be equal. With ``runs``, a folder of run folders, each run's scores must also be those
    of its run folder, whose own digest must fit, and its baseline that of its folder. Digests show a change, not its author: who changes a
    score and every digest after it is found out by the run folders alone.

    Raises UserError where there is no table with a digest.
    """
    folder, content = Path(folder), _read(folder)
    wrong = []
    if not is_sealed(content):
        wrong.append('leaderboard.json: its content was changed after it was written; its digest does not fit.')
    for kind, expected in content['files'].items():
        file = folder / f'leaderboard.{kind}'
        if not file.is_file() or sha256(file) != expected:
            wrong.append(
                f'{file.name}: ' + ('was changed after it was written; its digest does not fit.' if file.is_file() else 'is missing.')
            )
    if content['format'] != FORMAT:
        return [*wrong, f'leaderboard.json has format {content["format"]}; run vkd leaderboard refresh on it, and verify again.']
    score, found = worked_out(content)
    wrong += _rows_that_differ(found.rows, content['rows'])
    for kind, text in _texts(content, found, score).items():
        file = folder / f'leaderboard.{kind}'
        if file.is_file() and file.read_text(encoding='utf-8') != text:
            wrong.append(f'{file.name}: says something else than the runs of leaderboard.json.')
    return wrong + (_against(content, runs) if runs else [])


def _texts(content: Mapping[str, Any], found: Table, score: Score) -> dict[str, str]:
    """The pages that leaderboard.json is enough for."""
    told = controls(found.panels)
    return dict(
        md=markdown(content['title'], by_protocol(found, score), content['notes'], score, told),
        csv=frame(found.rows, score).to_csv(index=False),
    )


def _rows_that_differ(rows: list[Row], written: list[dict[str, Any]]) -> Iterator[str]:
    """Sentences on rows that say something else than ``rows``, worked out from their runs."""
    for ours, theirs in zip((finite(row.as_json()) for row in rows), written, strict=False):
        for key in ours:
            if key != 'runs' and not _alike(ours[key], theirs.get(key)):
                yield f'{theirs.get("student")} {theirs.get("method")}: {key} is {theirs.get(key)!r}, and its runs give {ours[key]!r}.'
    if len(rows) != len(written):
        yield f'leaderboard.json has {len(written)} rows, and its runs give {len(rows)}.'


def _alike(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, (int, float)):
        return math.isclose(ours, theirs, rel_tol=CLOSE, abs_tol=1e-12)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_alike(v, theirs[k]) for k, v in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_alike, ours, theirs))
    return bool(ours == theirs)


def refresh(folder: str | Path) -> dict[str, str]:
    """Writes the pages of a table anew, as this version of vkd does, from the runs that leaderboard.json holds; for a table whose run
    folders are not at hand. What leaderboard.html shows of these (pictures, curves, configs) stays as it is. Returns the paths.

    Raises UserError where a digest does not fit.
    """
    folder, content = Path(folder), _read(folder)
    if not is_sealed(content):
        raise UserError(
            f'{str(folder / "leaderboard.json")!r} was changed after it was written; restore it, or build the table again from its run '
            'folders.'
        )
    score, found = worked_out(content)
    paths = {kind: str(folder / f'leaderboard.{kind}') for kind in ('md', 'csv', 'html', 'json')}
    for kind, text in _texts(content, found, score).items():
        write_text(paths[kind], text)
    if Path(paths['html']).is_file():
        write_text(paths['html'], _page(folder, content, found, score))
    kept = {k: v for k, v in content.items() if k not in ('files', 'digest')}
    write_json(paths['json'], with_pages(dict(kept, format=FORMAT, rows=[row.as_json() for row in found.rows]), paths))
    return paths


#: where the part of a section of leaderboard.html begins that was made of run folders
_OF_FOLDERS = re.compile(r'<h3>(?:Test images|Training|Runs)</h3>')


def _page(folder: Path, content: Mapping[str, Any], found: Table, score: Score) -> str:
    """leaderboard.html with its tables anew, and with what run folders gave it as it was. Raises UserError where it was changed, since it
    is taken as it stands.
    """
    file, sections = folder / 'leaderboard.html', by_protocol(found, score)
    old = re.findall(r'<section>.*?</section>', file.read_text(encoding='utf-8'), re.S)
    if sha256(file) != content['files'].get('html') or len(old) != len(sections):
        raise UserError(f'{str(file)!r} was changed after it was written; restore it, or build the table again from its run folders.')
    for section, text in zip(sections, old, strict=True):
        start = _OF_FOLDERS.search(text)
        section['kept'] = Markup(text[start.start() :].removesuffix('</section>').rstrip()) if start else None
    shown = dict(title=content['title'], score=score, sections=sections, notes=content['notes'], profile=content.get('profile') or {})
    return page(
        folder,
        **shown,
        suite=dict(command=content.get('command')),
        controls=controls(found.panels),
        told=tally((row, score) for row in found.rows),
    )


def _read(folder: str | Path) -> dict[str, Any]:
    """leaderboard.json of a table. Raises UserError for what cannot be one."""
    try:
        content = read_json(Path(folder) / 'leaderboard.json')
    except ValueError as error:
        raise UserError(
            f'{str(Path(folder) / "leaderboard.json")!r} is no json ({error}); build the table again by vkd leaderboard.'
        ) from None
    kinds = dict(format=int, rows=list, metric=str, title=str, notes=list, digest=str, files=dict)
    if (
        not isinstance(content, dict)
        or any(not isinstance(content.get(k), kind) for k, kind in kinds.items())
        or not set(content['files']) <= {'md', 'csv', 'html'}
    ):
        raise UserError(f'{str(folder)!r} holds no leaderboard.json with a digest; build the table again by vkd leaderboard.')
    return content


def _against(content: Mapping[str, Any], folder: str | Path) -> list[str]:
    """Sentences on runs of the table whose run folder below ``folder`` is not there, was changed, or says something else."""
    found, notes = read_runs(folder)
    read_baselines(found)
    known = {run.run: run for run in found}
    wrong = [note for note in notes if 'changed' in note]
    for run in runs_of(content):
        own = known.get(run.run)
        if own is None:
            wrong.append(f'{run.run}: has no run folder in {str(folder)!r} that can be counted.')
        elif (finite(own.test), own.fingerprint, own.seed) != (run.test, run.fingerprint, run.seed):
            wrong.append(f'{run.run}: the table and its run folder have other scores, seeds or configs.')
        elif run.baseline and run.baseline != own.baseline:
            wrong.append(f'{run.run}: the table compares it by baseline {run.baseline}, and its run folder has {own.baseline}.')
    return wrong
