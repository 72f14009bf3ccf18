"""From a config to a Runner: on a CPU too, in one process or many."""

import os
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..build.checkpoint import load_weights, read_checkpoint
from ..build.networks import unwrapped
from ..errors import UserError
from ..io.logs import shorten_terminal
from .hooks import PlainState, TextFitsData
from .peers import check_names


def init_distributed(cfg, launcher):
    """Sets ``cfg.launcher`` and, without a GPU, joins a gloo group from the environment and wraps the model for CPUs.

    mmengine's own launcher calls ``torch.cuda.set_device`` and gives DDP device ids; it skips its part when a group exists already.
    """
    cfg.launcher = launcher
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher == 'slurm':
        for ours, theirs in dict(RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID').items():
            if theirs in os.environ:
                os.environ.setdefault(ours, os.environ[theirs])
    if not dist.is_initialized():
        missing = [k for k in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT') if k not in os.environ]
        if missing:
            raise UserError(
                f'Launcher {launcher!r}: the environment has no {missing[0]}; start with torchrun (tools/dist_train.sh), or use --launcher '
                'none.'
            )
        dist.init_process_group('gloo')
    os.environ.setdefault('LOCAL_RANK', '0')
    wrapper = dict(cfg.get('model_wrapper_cfg') or {})
    wrapper.setdefault('type', 'MMDistributedDataParallel')
    cfg.model_wrapper_cfg = {**wrapper, 'device_ids': None}


def rank(launcher):
    """The number of this process, from the environment, before any group exists."""
    return (
        0 if launcher == 'none' else int(os.environ.get('RANK', os.environ.get('SLURM_PROCID', os.environ.get('OMPI_COMM_WORLD_RANK', 0))))
    )


def processes(launcher):
    """How many processes train together, from the environment."""
    names = ('WORLD_SIZE', 'SLURM_NTASKS', 'OMPI_COMM_WORLD_SIZE')
    return 1 if launcher == 'none' else int(next((os.environ[n] for n in names if n in os.environ), 1))


def last_checkpoint(folder):
    """The last ``iter_N.pth`` of ``folder``, else its last ``epoch_N.pth``, or None; ``last_checkpoint`` files may be stale after a kill,
    so they are not read.
    """
    for kind in ('iter', 'epoch'):
        files = {int(p.stem.split('_')[1]): str(p) for p in Path(folder).glob(f'{kind}_*.pth') if p.stem.split('_')[1].isdigit()}
        if files:
            return files[max(files)]
    return None


def use_amp(cfg):
    """Mixed precision in ``cfg``: bf16 autocast on a CPU, fp16 with loss scaling on a GPU (bf16 with an optimizer a role), unless its
    optim_wrapper is a special one already.
    """
    if cfg.optim_wrapper.get('constructor') == 'vkd.PerRole':
        cfg.optim_wrapper.amp = True
    elif cfg.optim_wrapper.get('type', 'OptimWrapper') == 'OptimWrapper':
        cfg.optim_wrapper.type = 'AmpOptimWrapper' if torch.cuda.is_available() else 'vkd.CPUAmpOptimWrapper'
        if torch.cuda.is_available():
            cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def _with_short_log(kind):
    """The Runner class ``kind`` with a terminal that is spared mmengine's dumps (see ``vkd.io.logs``). A subclass, because a Runner logs its
    environment and config in ``__init__``, right after it has built its logger.
    """

    class ShortLog(kind):
        def build_logger(self, *args, **kwargs):
            logger = super().build_logger(*args, **kwargs)
            shorten_terminal(logger)
            return logger

    return ShortLog


def build_runner(cfg, work_dir=None, resume=False, launcher='none'):
    """mmengine's Runner for ``cfg``.

    Args:
        resume: True continues from the newest checkpoint in ``work_dir`` (a fresh start where there is none).
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
    """
    if work_dir is not None:
        cfg.work_dir = str(work_dir)
    init_distributed(cfg, launcher)
    if resume:
        found = last_checkpoint(cfg.work_dir)
        cfg.resume, cfg.load_from = found is not None, found
    start = load_weights(cfg.load_from) if cfg.get('load_from') else {}  # before the data are read
    if cfg.get('resume') and cfg.get('load_from') and not {'optimizer', 'message_hub'} <= set(read_checkpoint(cfg.load_from)):
        raise UserError(
            f'Checkpoint {cfg.load_from!r} holds weights but no state of a run, so it cannot be resumed; start from it with --cfg-options '
            f'load_from={cfg.load_from} in another --work-dir.'
        )
    kind = RUNNERS.get(cfg.runner_type) if 'runner_type' in cfg else Runner
    runner = _with_short_log(kind).from_cfg(cfg)
    if start and not set(start) & set(unwrapped(runner.model).state_dict()):
        raise UserError(
            f'load_from {cfg.load_from!r} has none of the tensors of the {type(unwrapped(runner.model)).__name__}; '
            'weights of the plain student go into student=dict(cfg=…, checkpoint=…).'
        )
    check_names(runner.model, cfg.get('optim_wrapper'), cfg.get('param_scheduler'))
    runner.register_hook(PlainState())
    runner.register_hook(TextFitsData())
    return runner
