"""Test a checkpoint under common corruptions (noise, blur, weather). Started again, it continues."""

import argparse
from pathlib import Path

from .line import add_config, add_launcher, config_of


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd corruptions`` takes."""
    from ..robustness.corruption import SEVERITIES
    from ..robustness.corruptions import CORRUPTIONS

    add_config(p)
    p.add_argument('checkpoint', help='checkpoint of a Distiller or of the plain student')
    p.add_argument('--work-dir', help='folder of the results; work_dirs/<config name>_corruptions by default')
    p.add_argument('--corruptions', nargs='+', default=list(CORRUPTIONS), metavar='NAME', help='which of them')
    p.add_argument('--severities', nargs='+', type=int, default=list(SEVERITIES), help='1 (mild) to 5')
    p.add_argument('--seed', type=int, default=0, help='another draw of the corruptions')
    add_launcher(p)


def main(args: argparse.Namespace) -> None:
    """Prints a table of the scores."""
    from ..robustness.corruption import evaluate_corruptions
    from ..robustness.variants import table

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
