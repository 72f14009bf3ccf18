"""Test a checkpoint under gradient attacks (FGSM, PGD). Started again, it continues."""

import argparse
from pathlib import Path

from .line import add_config, add_launcher, config_of


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd attacks`` takes."""
    from ..robustness.attack import ATTACKS

    add_config(p)
    p.add_argument('checkpoint', help='checkpoint of a Distiller or of the plain student')
    p.add_argument('--work-dir', help='folder of the results; work_dirs/<config name>_attacks by default')
    p.add_argument('--attacks', nargs='+', default=list(ATTACKS), metavar='NAME', help='fgsm (one step), pgd (iterative)')
    p.add_argument('--eps', nargs='+', type=float, default=[2, 8], help='greatest change of a value, of 255')
    p.add_argument('--steps', type=int, default=10, help='of PGD')
    p.add_argument('--seed', type=int, default=0, help="other starts of PGD's")
    add_launcher(p)


def main(args: argparse.Namespace) -> None:
    """Prints a table of the scores."""
    from ..robustness.attack import evaluate_attacks
    from ..robustness.variants import table

    found = evaluate_attacks(
        config_of(args),
        args.checkpoint,
        args.work_dir or Path('work_dirs', f'{Path(args.config).stem}_attacks'),
        args.attacks,
        args.eps,
        args.steps,
        args.seed,
        args.launcher,
        tell=print,
    )
    if found:
        print(table(found['cells']))
