"""A suite of many short cells whose workers are killed at random: what gets lost, and how long the leaderboard takes."""

import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from ..io.files import read_json
from ..leaderboard import build
from ..runs import run as running
from ..runs.cells import read_suite
from ..runs.jobs import BUSY, Local, run_cell
from ..runs.suite import run_cells
from . import CONFIGS, verdict

#: seconds for the leaderboard of 1,000 runs
GOAL = 30


class Killing(Local):
    """Local workers of which ``share`` are killed by SIGKILL, each at a moment of the first ``within`` seconds of its life; cells do all
    that runs do but train.
    """

    def __init__(self, folder, jobs, ended, share=0.1, within=0.4, seed=0):
        super().__init__(folder, jobs)
        self.ended, self.share, self.within, self.random, self.kills = str(ended), share, within, random.Random(seed), 0
        self.context.set_forkserver_preload([__name__])

    def _start(self, cell):
        process = self.context.Process(target=short, args=(cell, self.folder, self.ended))
        process.start()
        process.gpu, process.end = (
            None,
            time.monotonic() + self.random.uniform(0, self.within) if self.random.random() < self.share else None,
        )
        return process

    def finished(self, process):
        """As its parent's, after it has killed a process whose time is over."""
        if process.end and time.monotonic() > process.end and process.exitcode is None:
            process.kill()
            process.join()
            self.kills += 1
        return super().finished(process)


def short(cell, folder, ended):
    """One cell whose training is a short sleep with a log; scores follow from its name, and its end is noted in ``ended``."""

    def instead(cfg, own, resume, launcher, test):
        drawn = random.Random(cell.name)
        log = Path(own, f'{time.time_ns()}/vis_data/scalars.json')
        log.parent.mkdir(parents=True)
        log.write_text(''.join(f'{{"decode.loss_ce": {1 / (1 + i):.4f}, "step": {10 * i}}}\n' for i in range(1, 91)))
        time.sleep(drawn.uniform(0.01, 0.1))
        with open(ended, 'a') as file:
            file.write(f'{cell.name}\n')
        return dict(
            data_sha256={}, val={}, test=dict(images=100, classes=['a', 'b'], mIoU=score(cell.name), IoU=[score(cell.name)] * 2)
        ), None

    running._train_and_test = instead
    try:
        run_cell(cell, folder, threads=1, leash=True)
    except running.Busy:
        os._exit(BUSY)


def score(name):
    """What the cell ``name`` scores: always the same, from 40 to 60."""
    return round(random.Random(name).uniform(40, 60), 4)


def measure(rounds, device, seeds=250, workers=8):
    """``dict(cells, starts, kills, lost, wrong, twice, seconds, leaderboard)`` of a teacher and four rows of ``seeds``; the suite is
    started again until no cell has failed. ``rounds`` and ``device`` do not matter.
    """
    narrow = CONFIGS / 'alone/alone_narrow_quick_demo.py'
    with tempfile.TemporaryDirectory() as folder:
        suite, ended, start = Path(folder, 'many.py'), Path(folder, 'ended'), time.monotonic()
        suite.write_text(f"""title, teachers = 'many', dict(wide=dict(config={str(CONFIGS / 'alone/alone_wide_quick_demo.py')!r}))
runs = [dict(method='alone', student='narrow', config={str(narrow)!r}, seeds=list(range({seeds}))),
        dict(method=['KL', 'CWD', 'FeatureKD'], student='narrow', teacher='wide', config={str(CONFIGS)!r} + '/{{method}}/{{method}}_narrow_wide_quick_demo.py', seeds=list(range({seeds})))]
""")
        _, cells = read_suite(suite, Path(folder, 'runs'))
        ended.touch()
        starts, kills, failed = 0, 0, True
        while failed:
            engine = Killing(Path(folder, 'runs'), workers, ended, seed=starts)
            failed = run_cells(cells, Path(folder, 'runs'), engine, 0.2, lambda line: None)
            starts, kills = starts + 1, kills + engine.kills
        seconds = time.monotonic() - start
        times = Counter(ended.read_text().split())
        found = {cell.name: (read_json(Path(folder, 'runs', cell.name, 'metrics.json')) or {}).get('test') for cell in cells}
        start = time.monotonic()
        build(Path(folder, 'runs'))
        took = time.monotonic() - start
        rows = read_json(Path(folder, 'runs/leaderboard.json'))['rows']
        return dict(
            cells=len(cells),
            workers=workers,
            starts=starts,
            kills=kills,
            lost=sum(test is None for test in found.values()),
            wrong=sum(bool(test) and test['mIoU'] != score(name) for name, test in found.items()),
            twice=sum(n - 1 for n in times.values()),
            counted=sum(len(r['seeds']) for r in rows),
            seconds=seconds,
            leaderboard=took,
        )


def show(out, found):
    """Prints what ``measure`` found, beside its goals."""
    out.print(
        f'{found["cells"]} cells that sleep instead of training, {found["workers"]} workers of which one in ten is killed: '
        f'{found["kills"]} kills, {found["starts"]} starts of the suite, {found["seconds"]:.0f} s; {found["lost"]} lost, '
        f'{found["wrong"]} wrong, {found["twice"]} trained to the end twice (killed between their last step and their score), '
        f'{found["counted"]} in the table. Leaderboard: {found["leaderboard"]:.1f} s '
        f'(goal {GOAL} for 1,000: {verdict(found["leaderboard"] * 1000 / found["cells"], GOAL)}).',
        markup=False,
    )
