"""Train one config and test it at the end. What the run was is written beside its scores, for the leaderboard.

Example:

    vkd train vkd::alone/alone_narrow_quick_demo.py
"""

import argparse
import shlex
import sys
from pathlib import Path

from .line import add_config, add_launcher, add_parts, config_of
from .test import told


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd train`` takes."""
    add_config(p)
    add_parts(p)
    p.add_argument('--work-dir', help='run folder; work_dirs/<config name> by default')
    p.add_argument('--resume', action='store_true', help='continue from the newest checkpoint of the run folder')
    p.add_argument('--amp', action='store_true', help='mixed precision: bf16 on CPU, fp16 on GPU')
    p.add_argument('--no-test', action='store_true', help='do not evaluate the test set at the end')
    add_launcher(p)


def main(args: argparse.Namespace) -> None:
    """Trains, tests, and prints the scores."""
    from ..build.compose import composed_of
    from ..engine import processes, use_amp
    from ..runs.run import run

    cfg = composed_of(args) or config_of(args)  # args.config is its file from here on
    if args.amp:
        use_amp(cfg)
    count = processes(args.launcher)
    words = shlex.join(getattr(args, 'words', sys.argv[1:]))
    metrics = run(
        cfg,
        args.work_dir or cfg.get('work_dir') or Path('work_dirs', Path(args.config).stem),
        resume=args.resume,
        launcher=args.launcher,
        test=not args.no_test,
        command=f'vkd train {words}' if count == 1 else f'torchrun --nproc_per_node {count} -m vkd train {words}',
    )
    for name, scores in (metrics or {}).items():
        print(f'{name}: {told(scores)}')
