"""Where the cells of a suite run: processes of this machine, or jobs of a Slurm cluster."""

import multiprocessing
import os
import sys
import threading
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path

import torch

from ..errors import UserError
from .provenance import hardware, memory_gib
from .run import Busy, rerun_command, run

#: exit code of a cell that another process has
BUSY = os.EX_TEMPFAIL


def run_cell(cell, folder, threads=None, log=True, leash=False):
    """Runs ``cell`` in ``folder / cell.name``; its output goes to console.log there. ``leash``: die with the process that started this one."""
    if leash:
        threading.Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    if threads:
        torch.set_num_threads(threads)
    own = Path(folder, cell.name)
    own.mkdir(parents=True, exist_ok=True)
    with open(own / 'console.log', 'a') if log else nullcontext(sys.stdout) as out, redirect_stdout(out), redirect_stderr(out):
        settings = cell.settings()
        # made again beside the suite, whose own folders hold what it counts
        return run(
            cell.load(),
            own,
            cell.facts(),
            resume=True,
            test=cell.role != 'trial',  # a trial is judged by validation images alone
            command=rerun_command(cell.config, Path('work_dirs/again', cell.name), settings),
            identity=cell.fingerprint,
        )


def _child(cell, folder, threads, gpu):
    if gpu is not None:
        os.environ['CUDA_VISIBLE_DEVICES'] = gpu
    try:
        run_cell(cell, folder, threads, leash=True)
    except Busy:
        os._exit(BUSY)
    except BaseException:  # told in state.json and console.log
        os._exit(1)


class Local:
    """Up to ``jobs`` processes on this machine, forked from a server that has imported everything once."""

    patience = 5  # seconds until a run that another suite process has is looked at again

    def __init__(self, folder, jobs=None):
        gpus = torch.cuda.device_count()
        cores, memory = hardware()['cores'], memory_gib()
        self.jobs = jobs or gpus or max(1, min(cores, 8, *([int(memory // 3)] if memory else [])))
        self.folder, self.threads = folder, None if gpus else max(1, cores // self.jobs)
        devices = (os.environ.get('CUDA_VISIBLE_DEVICES') or ','.join(map(str, range(gpus)))).split(',')[:gpus]
        self.free = devices * -(-self.jobs // gpus) if gpus else [None] * self.jobs
        self.context = multiprocessing.get_context('forkserver')
        self.context.set_forkserver_preload(['vkd.runs.jobs', 'vkd._registered'])
        self.where = f'{self.jobs} at a time' + (
            f', {self.threads} thread{"s" * (self.threads > 1)} each' if self.threads else f' on {gpus} GPUs'
        )

    def start(self, cells):
        """A process a cell, in order."""
        return [self._start(cell) for cell in cells]

    def _start(self, cell):
        gpu = self.free.pop(0)
        process = self.context.Process(target=_child, args=(cell, self.folder, self.threads, gpu))
        process.start()
        process.gpu = gpu
        return process

    def finished(self, process):
        """None while it runs, else its exit code."""
        if process.exitcode is not None:
            self.free.append(process.gpu)
        return process.exitcode

    def stop(self, process):
        """Ends a process and waits for its end."""
        process.terminate()
        process.join()


class Slurm:
    """Each cell a task of a cluster's job arrays, through submitit. ``options`` go to its executor (slurm_partition, gpus_per_node,
    timeout_min, slurm_array_parallelism …).
    """

    patience = 120  # seconds; each look is a job

    def __init__(self, folder, jobs=None, options=None, cluster='slurm'):
        try:
            import submitit
        except ImportError as error:
            raise UserError("--launcher slurm needs submitit; run pip install -e '.[slurm]'.") from error
        try:
            self.executor = submitit.AutoExecutor(folder=str(Path(folder, 'jobs')), cluster=cluster)
        except RuntimeError as error:
            raise UserError(f'--launcher slurm: {error}; start it on a machine that can submit jobs.') from error
        self.executor.update_parameters(name='vkd', **(options or {}))
        self.folder, self.jobs = folder, jobs or 1000  # Slurm's own limit of an array is 1001
        self.where = f'{cluster} jobs, at most {self.jobs} at a time'

    def start(self, cells):
        """A job a cell, in order; what is ready at once is one job array."""
        with self.executor.batch():
            return [self.executor.submit(run_cell, cell, self.folder) for cell in cells]

    def finished(self, job):
        """None while it runs, else what stands for its exit code."""
        if not job.done():
            return None
        error = job.exception()
        return 0 if error is None else BUSY if 'Busy' in str(error) else 1

    def stop(self, job):
        """Cancels a job of the cluster."""
        job.cancel()
