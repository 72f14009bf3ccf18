"""Evaluate a checkpoint under common corruptions of the test images; started again, it continues."""

from pathlib import Path

from vkd.commands.line import add_config, add_launcher, command, config_of, parser
from vkd.robustness.corruption import SEVERITIES, evaluate_corruptions
from vkd.robustness.corruptions import CORRUPTIONS
from vkd.robustness.variants import table


def arguments():
    p = add_config(parser(__doc__))
    p.add_argument('checkpoint', help='checkpoint of a Distiller or of the plain student')
    p.add_argument('--work-dir', help='folder of the results; work_dirs/<config name>_corruptions by default')
    p.add_argument('--corruptions', nargs='+', default=list(CORRUPTIONS), metavar='NAME', help='which of them')
    p.add_argument('--severities', nargs='+', type=int, default=list(SEVERITIES), help='1 (mild) to 5')
    p.add_argument('--seed', type=int, default=0, help='another draw of the corruptions')
    return add_launcher(p)


def main(args):
    found = evaluate_corruptions(
        config_of(args),
        args.checkpoint,
        args.work_dir or Path('work_dirs', f'{Path(args.config).stem}_corruptions'),
        args.corruptions,
        args.severities,
        args.seed,
        args.launcher,
        tell=print,
    )
    if found:
        print(table(found['cells']))


if __name__ == '__main__':
    command(main, arguments())
