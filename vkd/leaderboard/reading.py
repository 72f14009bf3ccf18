"""What run folders hold: facts, scores and logs, and sentences on what is left out."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..build.config import teachers_of
from ..build.identity import baseline_config, baseline_fingerprint, read_written_config
from ..errors import UserError
from ..io.files import read_json
from ..runs.curves import logged
from ..runs.formats import READS, run_digest
from .external import read_submission
from .records import KEY, RunFacts


def read_runs(folder: str | Path) -> tuple[list[RunFacts], list[str]]:
    """``(runs, notes)``: every run folder directly below ``folder``, or below the folders in it; notes are sentences on what was left out.

    A run with peers counts once for each of them, and for their ensemble. Stages and trials, which have no test scores, do not count.
    """
    runs: list[RunFacts] = []
    notes: list[str] = []
    seen: dict[Any, Any] = {}
    for file in sorted(Path(folder).glob('*/run.json')) + sorted(Path(folder).glob('*/*/run.json')):
        name = '/'.join(file.parent.relative_to(folder).parts)
        try:
            run, told = _read_run(file.parent, name)
        except ValueError as error:
            notes.append(f'{name} was left out: {error}.')
            continue
        if run is None:
            continue
        same = (*(getattr(run, k) for k in KEY), run.role, run.budget, run.seed, run.experiment or run.fingerprint)
        if same in seen:
            notes.append(f'{name} was left out: it repeats {seen[same]}, with the same seed and config.')
            continue
        seen[same] = name
        notes += told
        runs += by_peer(run)
    for file in sorted(Path(folder).glob('external/*.json')):
        runs += [RunFacts.from_json(run, folder=file.parent) for run in read_submission(file)['runs']]
    # a cell that never started because its teacher failed has a state, but no run.json
    for file in sorted(Path(folder).glob('*/state.json')):
        if not (file.parent / 'run.json').is_file():
            try:
                notes.append(f'{file.parent.name} failed before it started: {(_part(file).get("lines") or ["no message"])[-1]}')
            except ValueError as error:
                notes.append(f'{file.parent.name} was left out: {error}.')
    return runs, notes


def _read_run(folder: Path, name: str) -> tuple[RunFacts | None, list[str]]:
    """``(the run of one folder, sentences on parts of it that were left out)``; None of a run that has no test. Raises ValueError, which
    says why it is left out.
    """
    facts, state, metrics = (_part(folder / f'{part}.json') for part in ('run', 'state', 'metrics'))
    missing = {*KEY, 'seed', 'role', 'run'} - set(facts)
    if missing:
        raise ValueError(f'its run.json lacks {sorted(missing)[0]!r}; run it again')
    if facts['role'] in ('stage', 'trial'):
        return None, []
    if metrics and metrics.get('digest') != run_digest(facts, metrics):
        raise ValueError(
            'its run.json or metrics.json was changed after the run (the digest in metrics.json does not fit, or is not there); run it again'
        )
    parts, notes = {}, []
    for part in ('corruptions', 'attacks'):
        parts[part], left_out = _variants(folder / f'{part}.json', facts)
        notes += [f'{part.capitalize()} of {name} were left out: {left_out}.'] * bool(left_out)
    found = {k: metrics.get(k) for k in ('data_sha256', 'scores', 'test', 'val')}
    ended = dict(state=state.get('state', 'missing'), seconds=state.get('seconds'), lines=state.get('lines') or [])
    return RunFacts.from_json({**facts, **parts, **found, **ended}, run=name, folder=folder), notes


def read_baselines(runs: Iterable[RunFacts]) -> dict[str, dict[str, Any]]:
    """``{fingerprint: config}`` of the baselines of ``runs``, as their folders hold them. A run of an older version, which has no
    fingerprint, gets it here, worked out from the ``config.py`` in its folder.
    """
    out: dict[str, dict[str, Any]] = {}
    for run in runs:
        if run.folder is None:
            continue
        if run.external:
            given = _fitting(read_submission(run.folder / f'{run.external}.json').get('baselines'))
            out.update({k: v for k, v in given.items() if k == run.baseline})
            continue
        if run.baseline:
            content = _written_baselines(run.folder).get(run.baseline)
        else:
            content = _worked_out(run, run.folder)
            run.baseline = baseline_fingerprint(content) if content else None
        if content and run.baseline:
            out[run.baseline] = content
    return out


def _written_baselines(folder: Path) -> dict[str, Any]:
    """``{fingerprint: config}`` of a run's baselines.json."""
    try:
        content = read_json(folder / 'baselines.json', {})
    except ValueError:
        return {}
    return _fitting(content)


def _fitting(content: Any) -> dict[str, Any]:
    """Those of ``{fingerprint: config}`` whose fingerprint is that of their config."""
    return {k: v for k, v in content.items() if baseline_fingerprint(v) == k} if isinstance(content, dict) else {}


def _worked_out(run: RunFacts, folder: Path) -> dict[str, Any] | None:
    """The baseline of a run of an older version; None where its folder does not hold what it takes."""
    file, facts = folder / 'config.py', read_json(folder / 'run.json', {})
    config = read_written_config(file.read_text(encoding='utf-8')) if file.is_file() else None
    if not config or not isinstance(config.get('model'), dict) or run.network not in ('student', *teachers_of(config['model'])):
        return None
    starts = [own for own in (facts.get('starts_from') or {}).values() if own.get('sha256')]
    return baseline_config(config, {own['file']: own['sha256'] for own in starts}, run.network)


def _variants(file: Path, facts: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """``(what corruptions.json or attacks.json of a run holds, why it was left out)``, the one or the other."""
    try:
        found = _part(file)
    except ValueError as error:
        return {}, str(error)
    if found and found.get('fingerprint') != facts.get('fingerprint'):
        return {}, f'{file.name} is of another config; test the checkpoint of this run again'
    return found, None


def _part(file: Path) -> dict[str, Any]:
    """One json file of a run; empty where there is none. Raises ValueError, which says what is wrong with it, for a broken one or one of
    another format.
    """
    try:
        content: dict[str, Any] = read_json(file, {})
    except ValueError as error:
        raise ValueError(f'its {file.name} is broken ({error}); run it again') from None
    if content and (not isinstance(content, dict) or content.get('format') not in READS):
        found = (content.get('format'), content.get('vkd')) if isinstance(content, dict) else (type(content).__name__, None)
        raise ValueError(
            f'its {file.name} has format {found[0]!r} (vkd {found[1]!r}), this vkd reads format {" and ".join(map(str, READS))}; run it '
            'again, or read it with the vkd that wrote it'
        )
    return content


def by_peer(run: RunFacts) -> list[RunFacts]:
    """``[run]``, or one a peer: each with its own scores, its own name as ``student`` and the others' as ``teacher``; ``role`` of the mean
    of probabilities is 'ensemble'.
    """
    peers = run.test.get('peers')
    if not peers:
        return [run]
    names = [run.student, *str(run.teacher).split('+')]
    network = dict(zip(run.roles or ['student'], names, strict=False))
    out = []
    for label, own in peers.items():
        role = own['role']
        student = network.get(role, label) if role != 'ensemble' else ' + '.join(names)
        others = [n for r, n in network.items() if r != role] if role != 'ensemble' else []  # frozen teachers too
        of_student = role == 'student'
        out.append(
            replace(
                run,
                run=f'{run.run}_{label}',
                label=label,
                network=role,
                role='ensemble' if role == 'ensemble' else 'student',
                student=student,
                teacher='+'.join(others) or None,
                test=own,
                val=(run.val.get('peers') or {}).get(label) or {},
                baseline=run.baseline if of_student else (run.peer_baselines or {}).get(role),
                corruptions=run.corruptions if of_student else {},
                attacks=run.attacks if of_student else {},
            )
        )
    return out


def read_curve(run: RunFacts, metric: str) -> dict[str, dict[int, float]]:
    """``{'loss': {step: value}, metric: {step: value}}`` of a run; of a step that was run twice, the later counts.

    ``loss`` is the network's own of the task (``decode.loss_ce``, ``loss_pixel`` and the like), which runs with other methods share; all
    terms where no such is logged.
    """
    score, own = f'{run.label}/{metric}' if run.label else metric, '' if run.network == 'student' else f'{run.network}.'
    out: dict[str, dict[int, float]] = {'loss': {}, metric: {}}
    for step, record in logged(run.folder) if run.folder else ():
        task = [v for k, v in record.items() if re.match(rf'{re.escape(own)}((decode|aux)\w*\.loss|loss_pixel$)', k)]
        record = {**record, **({'loss': sum(task)} if task else {}), **({metric: record[score]} if score in record else {})}
        for key in out:
            if key in record:
                out[key][step] = record[key]
    return out


def suite_part(file: Path) -> dict[str, Any]:
    """A json file of the suite: a dict, empty where there is none. Raises UserError for a broken one."""
    try:
        content: dict[str, Any] = read_json(file, {})
    except ValueError as error:
        raise UserError(f'{str(file)!r} is broken ({error}); remove it, and start the suite again.') from error
    if not isinstance(content, dict) or not all(isinstance(content.get(k, {}), dict) for k in ('models', 'steps')):
        raise UserError(f'{str(file)!r} is not what vkd writes there; remove it, and start the suite again.')
    return content
