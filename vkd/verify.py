"""Whether a table still says what its runs said."""

from pathlib import Path

from .errors import UserError
from .files import is_sealed, read_json, sha256, write_json, write_text
from .results import read_runs
from .submit import runs_of
from .tables import by_protocol, finite, frame, markdown, table, with_pages


def verify(folder, runs=None):
    """Sentences on what does not fit in the table in ``folder`` (leaderboard.json and the pages beside it); empty where all does.

    The digests of the page's files and of the content must fit, and the rows, recomputed from the scores of the runs that leaderboard.json
    holds, must be equal to the last digit. With ``runs``, a folder of run folders, each run's scores must also be those of its run folder,
    whose own digest must fit. Digests show a change, not its author: who changes a score and every digest after it is found out by the run
    folders alone.

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
    rows, metric = finite(table(runs_of(content), content.get('profile'), content['metric'])), content['metric']
    for ours, theirs in zip(rows, content['rows']):
        for key in ours:
            if key != 'runs' and ours[key] != theirs.get(key):
                wrong.append(
                    f'{theirs.get("student")} {theirs.get("method")}: {key} is {theirs.get(key)!r}, and its runs give {ours[key]!r}.'
                )
    if len(rows) != len(content['rows']):
        wrong.append(f'leaderboard.json has {len(content["rows"])} rows, and its runs give {len(rows)}.')
    for kind, text in (
        ('md', markdown(content['title'], by_protocol(rows), content['notes'], metric)),
        ('csv', frame(rows, metric).to_csv(index=False)),
    ):
        file = folder / f'leaderboard.{kind}'
        if file.is_file() and file.read_text(encoding='utf-8') != text:
            wrong.append(f'{file.name}: says something else than the runs of leaderboard.json.')
    return wrong + (_against(content, runs) if runs else [])


def refresh(folder):
    """Writes leaderboard.md, .csv and .json anew, as this version of vkd does, from the runs that leaderboard.json holds; for a table whose
    run folders are not at hand. leaderboard.html, which also shows pictures and logs of them, stays. Returns the paths.

    Raises UserError where its digest does not fit.
    """
    folder, content = Path(folder), _read(folder)
    if not is_sealed(content):
        raise UserError(
            f'{str(folder / "leaderboard.json")!r} was changed after it was written; restore it, or build the table again from its run '
            'folders.'
        )
    rows = table(runs_of(content), content.get('profile'), content['metric'])
    paths = {kind: str(folder / f'leaderboard.{kind}') for kind in ('md', 'csv', 'html', 'json')}
    write_text(paths['md'], markdown(content['title'], by_protocol(rows), content['notes'], content['metric']))
    write_text(paths['csv'], frame(rows, content['metric']).to_csv(index=False))
    write_json(paths['json'], with_pages({k: v for k, v in dict(content, rows=rows).items() if k not in ('files', 'digest')}, paths))
    return paths


def _read(folder):
    """leaderboard.json of a table. Raises UserError for what cannot be one."""
    try:
        content = read_json(Path(folder) / 'leaderboard.json')
    except ValueError as error:
        raise UserError(
            f'{str(Path(folder) / "leaderboard.json")!r} is no json ({error}); build the table again by tools/leaderboard.py.'
        ) from None
    kinds = dict(rows=list, metric=str, title=str, notes=list, digest=str, files=dict)
    if (
        not isinstance(content, dict)
        or any(not isinstance(content.get(k), kind) for k, kind in kinds.items())
        or not set(content['files']) <= {'md', 'csv', 'html'}
    ):
        raise UserError(f'{str(folder)!r} holds no leaderboard.json with a digest; build the table again by tools/leaderboard.py.')
    return content


def _against(content, folder):
    """Sentences on runs of the table whose run folder below ``folder`` is not there, was changed, or says something else."""
    found, notes = read_runs(folder)
    known = {run['run']: run for run in finite(found)}
    wrong = [note for note in notes if 'changed' in note]
    for run in runs_of(content):
        own = known.get(run['run'])
        if own is None:
            wrong.append(f'{run["run"]}: has no run folder in {str(folder)!r} that can be counted.')
        elif (own['test'], own['fingerprint'], own['seed']) != (run['test'], run['fingerprint'], run['seed']):
            wrong.append(f'{run["run"]}: the table and its run folder have other scores, seeds or configs.')
    return wrong
