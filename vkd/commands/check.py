"""Try a config for some seconds before hours are spent on it. Taps, shapes, checkpoints, losses, gradients, memory and time of real steps
are shown, and what is wrong.

Example:

    vkd check vkd::alone/alone_narrow_quick_demo.py
"""

import argparse
import sys

from .line import add_config, config_of


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd check`` takes."""
    add_config(p)
    p.add_argument('--json', metavar='FILE', help='write the report there as well')
    p.add_argument('--every-sample', action='store_true', help='load all samples of all data sets, not the first batch alone')
    p.add_argument('--device', help='torch device; the GPU where there is one')


def main(args: argparse.Namespace) -> None:
    """Prints the report; exits with 1 where it has errors."""
    from ..check.checking import check, show
    from ..io.files import write_json

    report = check(config_of(args), args.device, args.debug, args.every_sample)
    if args.json:
        write_json(args.json, report)
    show(report)
    if report['errors']:
        sys.exit(1)
