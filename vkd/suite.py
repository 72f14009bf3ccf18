"""A matrix of runs: what is missing is run, what was interrupted continues, what fails is shown and does not stop the others."""

import os
import socket
import sys
import time
import warnings
from contextlib import contextmanager

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .cells import iterations, read_suite, status
from .files import read_json, write_json
from .jobs import BUSY, Local, Slurm
from .formats import FORMAT
from .run import claim


def run_suite(path, work_dir=None, jobs=None, launcher='local', poll=0.5, out=print):
    """Runs the missing cells of the suite file ``path``, then profiles and writes the leaderboard.

    Returns ``(path of the page, names of failed cells)``. Raises UserError before anything runs, for a mistake in the suite or a folder of
    another config.
    """
    suite, cells = read_suite(path, work_dir)
    folder = suite.pop('folder')
    for cell in cells:
        claim(folder / cell.name, cell.info['fingerprint'])
    slurm = suite.pop('slurm')
    engine = Local(folder, jobs) if launcher == 'local' else Slurm(folder, jobs, slurm)
    write_json(folder / 'suite.json', dict(suite, cells=[cell.name for cell in cells]))
    out(f'{suite["title"]}: {len(cells)} runs, {engine.where}; {folder}')
    failed = run_cells(cells, folder, engine, poll, out)
    from .leaderboard import build

    build(folder)  # before the costs are measured: what was trained is shown in any case
    _profile(cells, folder, out)
    return build(folder)['html'], failed


def run_cells(cells, folder, engine, poll, out):
    """Names of the cells that failed."""
    names = {cell.name: cell for cell in cells}
    done = {cell.name for cell in cells if status(folder, cell) == 'done'}
    if done:
        out(f'{len(done)} of {len(cells)} are done already')
    # teachers and stages first, then what waits for none of them
    waiting = sorted((c for c in cells if c.name not in done), key=lambda c: (c.info['role'] == 'student', bool(c.before)))
    active, failed, later = {}, {}, {}  # later: when a cell that another suite process has is looked at again

    def fail(cell, lines):
        failed[cell.name] = lines
        out(f'{cell.name} failed: {lines[-1] if lines else "no message"}')

    with _progress(cells, folder) as tick:
        try:
            while waiting or active:
                for cell in [c for c in waiting if failed.keys() & set(c.before)]:
                    waiting.remove(cell)
                    first = next(name for name in cell.before if name in failed)
                    lines = [f'its {"teacher" if first == cell.needs else "stage"} {first} failed: {failed[first][-1]}']
                    write_json(folder / cell.name / 'state.json', _failed(lines))
                    fail(cell, lines)
                ready = [c for c in waiting if done.issuperset(c.before) and later.get(c.name, 0) <= time.monotonic()][
                    : engine.jobs - len(active)
                ]
                if ready:
                    waiting = [c for c in waiting if c not in ready]
                    active.update(zip((c.name for c in ready), engine.start(ready)))
                for name, process in list(active.items()):
                    code = engine.finished(process)
                    if code is None:
                        continue
                    cell = names[name]
                    del active[name]
                    if status(folder, cell) == 'done':
                        done.add(name)
                        scores = read_json(folder / name / 'metrics.json').get('test') or {}
                        shown = [f'{k} {scores[k]:.2f}' for k in ('mIoU', 'PSNR') if isinstance(scores.get(k), float)]
                        out(': '.join([f'{len(done)}/{len(cells)} {name}', *shown]))
                    elif code == BUSY:  # another suite process has it
                        later[name] = time.monotonic() + engine.patience
                        waiting.append(cell)
                    else:
                        state = read_json(folder / name / 'state.json') or {}
                        if state.get('state') != 'failed':
                            state = _failed([f'the process died with exit code {code} (out of memory?); see console.log'])
                            write_json(folder / name / 'state.json', state)
                        fail(cell, state['lines'])
                for cell in [c for c in waiting if status(folder, c) == 'done']:  # by another suite process
                    waiting.remove(cell)
                    done.add(cell.name)
                tick()
                time.sleep(poll)
        except BaseException:
            for process in active.values():
                engine.stop(process)
            raise
    return list(failed)


def _failed(lines):
    return dict(
        format=FORMAT, state='failed', pid=os.getpid(), host=socket.gethostname(), started=None, ended=None, seconds=None, lines=lines
    )


@contextmanager
def _progress(cells, folder):
    """Gives a function to call now and then: one bar over all iterations of the suite on a terminal, nothing elsewhere."""
    if not sys.stdout.isatty():
        yield lambda: None
        return
    lengths, looked = {c.name: c.info['max_iters'] or 0 for c in cells}, [0.0]
    shown = (
        TextColumn('{task.completed:.0f}/{task.total:.0f} iterations'),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn('elapsed, left'),
        TimeRemainingColumn(),
    )
    with Progress(*shown) as bar:
        task = bar.add_task('suite', total=sum(lengths.values()))

        def tick():
            if time.monotonic() - looked[0] > 1:
                looked[0] = time.monotonic()
                bar.update(
                    task, completed=sum(lengths[c.name] if status(folder, c) == 'done' else iterations(folder / c.name) for c in cells)
                )

        yield tick
        looked[0] = 0.0
        tick()


def _profile(cells, folder, out):
    """``profile.json``: what each network and each kind of step costs, measured once in one process when its cells are done."""
    from .profile import suite_profile

    kinds = {}
    for cell in cells:
        if status(folder, cell) == 'done' and cell.info['role'] != 'stage':
            info = cell.info
            kinds.setdefault('|'.join((info['student'], info['teacher'] or '-', info['method'])), cell)
    known = read_json(folder / 'profile.json') or {}
    if kinds and set(kinds) - set(known.get('measured', [])):
        out('measuring what each step costs')
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as the local jobs ran; a ratio of two cores' noise is none
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # they stand in the runs' own logs
                measured = suite_profile({k: c.load() for k, c in kinds.items()})
            write_json(folder / 'profile.json', dict(measured, measured=sorted(kinds)))
        finally:
            torch.set_num_threads(threads)
