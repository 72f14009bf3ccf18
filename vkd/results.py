"""What run folders hold: facts, scores and logs, and sentences on what is left out."""

import re
from pathlib import Path

from .curves import logged
from .errors import UserError
from .files import read_json
from .run import FORMAT, KEY, run_digest
from .submit import read_submission


def read_runs(folder):
    """``(runs, notes)``: every run folder directly below ``folder``, or below the folders in it, as a dict; notes are sentences on what was
    left out.

    A run with peers counts once for each of them, and for their ensemble.
    """
    runs, notes, seen = [], [], {}
    for file in sorted(Path(folder).glob('*/run.json')) + sorted(Path(folder).glob('*/*/run.json')):
        own = file.parent
        name = '/'.join(own.relative_to(folder).parts)
        try:
            facts, state, metrics = (_part(own / f'{part}.json') for part in ('run', 'state', 'metrics'))
        except ValueError as error:
            notes.append(f'{name} was left out: {error}.')
            continue
        missing = {*KEY, 'seed', 'role', 'run'} - set(facts)
        if missing:
            notes.append(f'{name} was left out: its run.json lacks {sorted(missing)[0]!r}; run it again.')
            continue
        if facts['role'] == 'stage':  # it has no task, hence no score
            continue
        if metrics and metrics.get('digest') != run_digest(facts, metrics):
            notes.append(
                f'{name} was left out: its run.json or metrics.json was changed after the run (the digest in metrics.json does not fit, or '
                'is not there); run it again.'
            )
            continue
        run = dict(
            facts,
            run=name,
            folder=own,
            state=state.get('state', 'missing'),
            seconds=state.get('seconds'),
            lines=state.get('lines') or [],
            data_sha256=metrics.get('data_sha256'),
            test=metrics.get('test') or {},
            val=metrics.get('val') or {},
        )
        same = (*(facts[k] for k in KEY), facts['role'], facts['seed'], facts.get('experiment') or facts.get('fingerprint'))
        if same in seen:
            notes.append(f'{name} was left out: it repeats {seen[same]}, with the same seed and config.')
            continue
        seen[same] = name
        for part in ('corruptions', 'attacks'):
            run[part], left_out = _variants(own / f'{part}.json', facts)
            notes += [f'{part.capitalize()} of {name} were left out: {left_out}.'] * bool(left_out)
        runs += by_peer(run)
    for file in sorted(Path(folder).glob('external/*.json')):
        for run in read_submission(file)['runs']:
            runs.append(dict(run, folder=file.parent))
    # a cell that never started because its teacher failed has a state, but no run.json
    for file in sorted(Path(folder).glob('*/state.json')):
        if not (file.parent / 'run.json').is_file():
            try:
                notes.append(f'{file.parent.name} failed before it started: {(_part(file).get("lines") or ["no message"])[-1]}')
            except ValueError as error:
                notes.append(f'{file.parent.name} was left out: {error}.')
    return runs, notes


def _variants(file, facts):
    """``(what corruptions.json or attacks.json of a run holds, why it was left out)``, the one or the other."""
    try:
        found = _part(file)
    except ValueError as error:
        return {}, str(error)
    if found and found.get('fingerprint') != facts.get('fingerprint'):
        return {}, f'{file.name} is of another config; test the checkpoint of this run again'
    return found, None


def _part(file):
    """One json file of a run; empty where there is none. Raises ValueError, which says what is wrong with it, for a broken one or one of
    another format.
    """
    try:
        content = read_json(file, {})
    except ValueError as error:
        raise ValueError(f'its {file.name} is broken ({error}); run it again') from None
    if content and (not isinstance(content, dict) or content.get('format') != FORMAT):
        found = (content.get('format'), content.get('vkd')) if isinstance(content, dict) else (type(content).__name__, None)
        raise ValueError(
            f'its {file.name} has format {found[0]!r} (vkd {found[1]!r}), this vkd reads format {FORMAT}; run it again, or read it with '
            'the vkd that wrote it'
        )
    return content


def by_peer(run):
    """``[run]``, or one a peer: each with its own scores, its own name as ``student`` and the others' as ``teacher``; ``role`` of the mean
    of probabilities is 'ensemble'.
    """
    peers = run['test'].get('peers')
    if not peers:
        return [run]
    names = [run['student'], *str(run['teacher']).split('+')]
    network = dict(zip(run.get('roles') or ['student'], names))
    out = []
    for label, own in peers.items():
        role = own['role']
        student = network.get(role, label) if role != 'ensemble' else ' + '.join(names)
        others = [n for r, n in network.items() if r != role] if role != 'ensemble' else []  # frozen teachers too
        out.append(
            dict(
                run,
                run=f'{run["run"]}_{label}',
                label=label,
                network=role,
                role='ensemble' if role == 'ensemble' else 'student',
                student=student,
                teacher='+'.join(others) or None,
                test=own,
                val=(run['val'].get('peers') or {}).get(label) or {},
                **{part: run.get(part) if role == 'student' else {} for part in ('corruptions', 'attacks')},
            )
        )
    return out


def read_curve(run):
    """``dict(loss={step: value}, mIoU={step: value}, PSNR={step: value})`` of a run; of a step that was run twice, the later counts.

    ``loss`` is the network's own of the task (``decode.loss_ce``, ``loss_pixel`` and the like), which runs with other methods share; all
    terms where no such is logged.
    """
    folder, label, network = run['folder'], run.get('label'), run.get('network', 'student')
    score, own = f'{label}/mIoU' if label else 'mIoU', '' if network == 'student' else f'{network}.'
    out = dict(loss={}, mIoU={}, PSNR={})
    for step, record in logged(folder):
        task = [v for k, v in record.items() if re.match(rf'{re.escape(own)}((decode|aux)\w*\.loss|loss_pixel$)', k)]
        record = {**record, **({'loss': sum(task)} if task else {}), **({'mIoU': record[score]} if score in record else {})}
        for key in out:
            if key in record:
                out[key][step] = record[key]
    return out


def suite_part(file):
    """A json file of the suite: a dict, empty where there is none. Raises UserError for a broken one."""
    try:
        content = read_json(file, {})
    except ValueError as error:
        raise UserError(f'{str(file)!r} is broken ({error}); remove it, and start the suite again.') from error
    if not isinstance(content, dict) or not all(isinstance(content.get(k, {}), dict) for k in ('models', 'steps')):
        raise UserError(f'{str(file)!r} is not what vkd writes there; remove it, and start the suite again.')
    return content
