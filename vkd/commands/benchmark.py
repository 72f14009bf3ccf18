"""Measure what distillation costs here. Ratios of training steps, peak memory, and counting for the metric are all taken interleaved in one
process.
"""

import argparse


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd benchmark`` takes."""
    from ..benchmarks import QUESTIONS

    p.add_argument('--only', nargs='+', choices=QUESTIONS, default=QUESTIONS, help='which questions; all by default')
    p.add_argument(
        '--config',
        help='for steps: take student, teacher and optimizer from this config of a distillation; small built-in networks by default',
    )
    p.add_argument('--shape', type=int, nargs=4, default=[4, 3, 128, 128], metavar=('B', 'C', 'H', 'W'), help='for steps: batch of noise')
    p.add_argument('--rounds', type=int, default=15, help='interleaved rounds; fewer where a round is long')
    p.add_argument('--device', help='torch device; the GPU where there is one')
    p.add_argument('--json', metavar='FILE', help='write the figures there as well')


def main(args: argparse.Namespace) -> None:
    """Prints a table a question."""
    from importlib import import_module

    import torch
    from mmengine.logging import MMLogger

    from ..build.config import load_config, plain
    from ..io.console import console
    from ..io.files import write_json
    from ..runs.provenance import git_state, hardware, versions

    MMLogger.get_current_instance().setLevel('ERROR')
    out, found = console(), {}
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    for name in args.only:
        question = import_module(f'vkd.benchmarks.{name}')
        more = dict(cfg=args.config and load_config(args.config), shape=tuple(args.shape)) if name == 'steps' else {}
        found[name] = question.measure(args.rounds, device, **more)
        question.show(out, found[name])
    if args.json:
        facts = dict(format=2, config=args.config, rounds=args.rounds, device=device, **found)
        write_json(args.json, plain(dict(facts, hardware=hardware(), versions=versions(), git=git_state())))
