"""Train one config, test it at the end, and describe the run for the leaderboard."""

import shlex
import sys
from pathlib import Path

from vkd.build.compose import add_parts, composed_of
from vkd.commands.line import add_config, add_launcher, command, config_of, parser
from vkd.engine import processes, use_amp
from vkd.runs.run import run


def arguments():
    p = add_parts(add_config(parser(__doc__)))
    p.add_argument('--work-dir', help='run folder; work_dirs/<config name> by default')
    p.add_argument('--resume', action='store_true', help='continue from the newest checkpoint of the run folder')
    p.add_argument('--amp', action='store_true', help='mixed precision: bf16 on CPU, fp16 on GPU')
    p.add_argument('--no-test', action='store_true', help='do not evaluate the test set at the end')
    return add_launcher(p)


def main(args):
    cfg = composed_of(args) or config_of(args)  # args.config is its file from here on
    if args.amp:
        use_amp(cfg)
    count = processes(args.launcher)
    metrics = run(
        cfg,
        args.work_dir or cfg.get('work_dir') or Path('work_dirs', Path(args.config).stem),
        resume=args.resume,
        launcher=args.launcher,
        test=not args.no_test,
        command=f'{"python" if count == 1 else f"torchrun --nproc_per_node {count}"} {shlex.join(sys.argv)}',
    )
    for name, scores in (metrics or {}).items():
        print(f'{name}: ' + ', '.join(f'{k} {v:.2f}' for k, v in scores.items() if isinstance(v, float)))


if __name__ == '__main__':
    command(main, arguments())
