"""What distillation costs: ratios of training steps, peak memory, and counting for the metric, all taken interleaved in one process."""

from importlib import import_module

import torch
from mmengine.logging import MMLogger

from vkd.benchmarks import QUESTIONS
from vkd.build.config import load_config, plain
from vkd.commands.line import command, parser
from vkd.io.console import console
from vkd.io.files import write_json
from vkd.runs.provenance import git_state, hardware, versions


def arguments():
    p = parser(__doc__)
    p.add_argument('--only', nargs='+', choices=QUESTIONS, default=QUESTIONS, help='which questions; all by default')
    p.add_argument(
        '--config',
        help='for steps: take student, teacher and optimizer from this config of a distillation; small built-in networks by default',
    )
    p.add_argument('--shape', type=int, nargs=4, default=[4, 3, 128, 128], metavar=('B', 'C', 'H', 'W'), help='for steps: batch of noise')
    p.add_argument('--rounds', type=int, default=15, help='interleaved rounds; fewer where a round is long')
    p.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='torch device')
    p.add_argument('--json', metavar='FILE', help='write the figures there as well')
    return p


def main(args):
    MMLogger.get_current_instance().setLevel('ERROR')
    out, found = console(), {}
    for name in args.only:
        question = import_module(f'vkd.benchmarks.{name}')
        more = dict(cfg=args.config and load_config(args.config), shape=tuple(args.shape)) if name == 'steps' else {}
        found[name] = question.measure(args.rounds, args.device, **more)
        question.show(out, found[name])
    if args.json:
        write_json(
            args.json,
            plain(
                dict(
                    format=2,
                    config=args.config,
                    rounds=args.rounds,
                    device=args.device,
                    **found,
                    hardware=hardware(),
                    versions=versions(),
                    git=git_state(),
                )
            ),
        )


if __name__ == '__main__':
    command(main, arguments())
