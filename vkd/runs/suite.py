"""A matrix of runs: what is missing is run, what was interrupted continues, what fails is shown and does not stop the others."""

import os
import socket
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..evaluation.scores import score_of
from ..io.files import read_json, write_json
from .cells import Cell, iterations, read_suite, status
from .formats import FORMAT
from .jobs import BUSY, Local, Slurm
from .provenance import hardware
from .run import claim
from .tuning import Tuning


def run_suite(
    path: str | Path,
    work_dir: str | Path | None = None,
    jobs: int | None = None,
    launcher: str = 'local',
    poll: float = 0.5,
    out: Callable[[str], None] = print,
    build: Callable[[Path], dict[str, str]] | None = None,
) -> tuple[str | None, list[str]]:
    """Runs the missing cells of the suite file ``path``, measures what their steps cost, and has ``build`` (``vkd.leaderboard.build``)
    write the tables of the suite's folder.

    Returns ``(path of the page, None without build, names of failed cells)``. Raises UserError before anything runs, for a mistake in the suite or a folder of
    another config.
    """
    suite, cells = read_suite(path, work_dir)
    folder = suite.folder
    for cell in cells:
        claim(folder / cell.name, cell.fingerprint)
    for cell in cells:
        cell.write()
    engine = Local(folder, jobs) if launcher == 'local' else Slurm(folder, jobs, suite.slurm)
    write_json(folder / 'suite.json', suite.facts(cells))
    out(f'{suite.title}: {len(cells)} runs, {engine.where}; {folder}')
    failed = run_cells(cells, folder, engine, poll, out, suite.main_metric)
    if build:
        build(folder)  # before the costs are measured: what was trained is shown in any case
    _profile(cells, folder, out)
    return build(folder)['html'] if build else None, failed


def run_cells(
    cells: list[Cell], folder: Path, engine: Local | Slurm, poll: float, out: Callable[[str], None], metric: str = 'mIoU'
) -> list[str]:
    """Runs ``cells``, as many at a time as ``engine`` takes, each when those that it needs are done; looks at them every ``poll`` seconds,
    and tells ``out`` of each end, with its ``metric``.

    Returns the names of the cells that failed. A trial that failed is not among them: it counts as the worst of its row. The runs of a row
    fail only where none of its trials has a score.
    """
    matrix = _Scheduler(cells, folder, engine, out, metric)
    with _progress(cells, folder) as tick:
        try:
            while matrix.busy:
                matrix.step()
                tick()
                time.sleep(poll)
        except BaseException:
            matrix.stop()
            raise
    return [name for name in matrix.failed if matrix.cells[name].role != 'trial']


class _Scheduler:
    """Which cells of a suite are done, failed, running or waiting, and what follows from it.

    Everything that must outlast this process is kept in files: the state of a cell in its folder, the choice between trials in a file of
    its own.
    """

    #: teachers and stages first, then trials, then what waits for neither
    ORDER = dict(teacher=0, stage=0, trial=1, student=2)

    def __init__(self, cells: list[Cell], folder: Path, engine: Local | Slurm, out: Callable[[str], None], metric: str):
        self.folder, self.engine, self.out, self.metric = folder, engine, out, metric
        self.cells = {cell.name: cell for cell in cells}
        self.done = {cell.name for cell in cells if status(folder, cell) == 'done'}
        if self.done:
            out(f'{len(self.done)} of {len(cells)} are done already')
        self.waiting = sorted((c for c in cells if c.name not in self.done), key=lambda c: (self.ORDER[c.role], bool(c.before)))
        self.active: dict[str, Any] = {}  # the engine's process or job of each
        self.failed: dict[str, list[str]] = {}  # last lines of each
        self.killed: set[str] = set()  # failed, but not by an error of their own
        self.later: dict[str, float] = {}  # when a cell that another suite process has is looked at again
        self.undecided = {cell.tuning.identity: cell.tuning for cell in cells if cell.tuning}

    @property
    def busy(self) -> bool:
        return bool(self.waiting or self.active or self.undecided)

    def step(self) -> None:
        """Looks at everything once."""
        self._choose()
        self._give_up()
        self._start()
        self._collect()
        self._look_for_others()

    def stop(self) -> None:
        for process in self.active.values():
            self.engine.stop(process)

    def _choose(self) -> None:
        """Decides between the trials of each row whose trials have ended, unless that is decided in a file already."""
        for tuning in list(self.undecided.values()):
            made = True if tuning.choice() else self._choose_among(tuning)
            if made is None:
                continue
            del self.undecided[tuning.identity]
            row = [cell for cell in self.cells.values() if cell.tuning and cell.tuning.identity == tuning.identity]
            if made:
                self._use(tuning, row)
            else:
                for cell in row:
                    self._drop(cell, [self._no_choice(tuning)])

    def _choose_among(self, tuning: Tuning) -> bool | None:
        """Whether the trials lead to a choice; None while that is open. One that was killed says nothing of its options."""
        if not all(name in self.done or name in self.failed for name in tuning.trials):
            return None
        return False if self.killed & set(tuning.trials) else tuning.choose(self.folder)

    def _use(self, tuning: Tuning, row: list[Cell]) -> None:
        """Frees the cells of a row, whose options are chosen."""
        # trials that failed before, or in another process, are not tried again
        self.waiting = [cell for cell in self.waiting if cell.name not in tuning.trials]
        choice = tuning.choice()
        self.out(f'{row[0].info["method"]} of {row[0].info["student"]}: chosen by {choice["trials"]} trials: {choice["chosen"]}')
        for cell in row:
            if tuning.differs(self.folder / cell.name):
                self._drop(cell, [f'it was trained with other options than its trials now choose; remove {self.folder / cell.name}'])

    def _no_choice(self, tuning: Tuning) -> str:
        killed = next((name for name in tuning.trials if name in self.killed), None)
        if killed:
            return f'its trial {killed} did not end ({self.failed[killed][-1]}); start the suite again'
        name = next((name for name in tuning.trials if name in self.failed), None)
        why = f'{name} failed: {self.failed[name][-1]}' if name else f'{tuning.trials[0]} has none in metrics.json'
        return f'none of its {len(tuning.trials)} trials has a {tuning.score.name} of validation images to choose by; {why}'

    def _give_up(self) -> None:
        """Fails what waits for a cell that failed."""
        for cell in [c for c in self.waiting if self.failed.keys() & set(c.before)]:
            first = next(name for name in cell.before if name in self.failed)
            self._drop(cell, [f'its {"teacher" if first == cell.needs else "stage"} {first} failed: {self.failed[first][-1]}'])

    def _drop(self, cell: Cell, lines: list[str]) -> None:
        """Marks a cell that has not been started as failed; the folder of one that is done already is left unchanged."""
        if cell.name not in self.failed:
            self.waiting = [c for c in self.waiting if c.name != cell.name]
            if cell.name not in self.done:
                write_json(self.folder / cell.name / 'state.json', _failed(lines))
            self.done.discard(cell.name)
            self._fail(cell, lines)

    def _fail(self, cell: Cell, lines: list[str]) -> None:
        self.failed[cell.name] = lines or ['no message']
        self.out(f'{cell.name} failed: {self.failed[cell.name][-1]}')

    def _start(self) -> None:
        """Starts what is ready, as far as there is room."""
        ready = [cell for cell in self.waiting if self._is_ready(cell)][: self.engine.jobs - len(self.active)]
        if ready:
            names = [cell.name for cell in ready]
            self.waiting = [cell for cell in self.waiting if cell.name not in names]
            self.active.update(zip(names, self.engine.start(ready), strict=True))

    def _is_ready(self, cell: Cell) -> bool:
        return (
            self.done.issuperset(cell.before)
            and self.later.get(cell.name, 0) <= time.monotonic()
            and (cell.tuning is None or cell.tuning.identity not in self.undecided)
        )

    def _collect(self) -> None:
        """Notes which processes have ended, and how."""
        for name, process in list(self.active.items()):
            code = self.engine.finished(process)
            if code is not None:
                del self.active[name]
                self._ended(self.cells[name], code)

    def _ended(self, cell: Cell, code: int) -> None:
        own = self.folder / cell.name
        if status(self.folder, cell) == 'done':
            self.done.add(cell.name)
            score = _told(self.metric, read_json(own / 'metrics.json'), 'val' if cell.role == 'trial' else 'test')
            self.out(': '.join([f'{len(self.done)}/{len(self.cells)} {cell.name}', *score]))
        elif code == BUSY:  # another suite process has it
            self.later[cell.name] = time.monotonic() + self.engine.patience
            self.waiting.append(cell)
        else:
            state = read_json(own / 'state.json') or {}
            if state.get('state') != 'failed':
                self.killed.add(cell.name)
                state = _failed([f'the process died with exit code {code} (out of memory?); see console.log'])
                write_json(own / 'state.json', state)
            self._fail(cell, state['lines'])

    def _look_for_others(self) -> None:
        """Notes what another suite process has done meanwhile."""
        for cell in [c for c in self.waiting if status(self.folder, c) == 'done']:
            self.waiting.remove(cell)
            self.done.add(cell.name)


def _failed(lines):
    return dict(
        format=FORMAT, state='failed', pid=os.getpid(), host=socket.gethostname(), started=None, ended=None, seconds=None, lines=lines
    )


def _told(metric: str, metrics: dict[str, Any], part: str) -> list[str]:
    """``['mIoU 41.24']`` of a metrics.json; nothing where it has no such score."""
    value = (metrics.get(part) or {}).get(metric)
    return [f'{metric} {value:.{score_of(metric, metrics.get("scores")).digits}f}'] if isinstance(value, (int, float)) else []


@contextmanager
def _progress(cells, folder):
    """Gives a function to call now and then: one bar over all iterations of the suite on a terminal, nothing elsewhere."""
    if not sys.stdout.isatty():
        yield lambda: None
        return
    lengths, looked = {c.name: c.max_iters or 0 for c in cells}, [0.0]
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
    from ..costs import suite_profile

    kinds = {}
    for cell in cells:
        chosen = cell.tuning is None or cell.tuning.choice() is not None
        if cell.role in ('student', 'teacher') and chosen and status(folder, cell) == 'done':
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
            write_json(folder / 'profile.json', dict(measured, hardware=hardware(), measured=sorted(kinds)))
        finally:
            torch.set_num_threads(threads)
