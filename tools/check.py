"""Dry run of a config: taps, shapes, checkpoints, losses, gradients, memory and time, before hours are spent."""

import sys

from vkd.check.checking import check, show
from vkd.commands.line import add_config, command, config_of, parser
from vkd.io.files import write_json


def arguments():
    p = add_config(parser(__doc__))
    p.add_argument('--json', metavar='FILE', help='write the report there as well')
    p.add_argument('--every-sample', action='store_true', help='load all samples of all data sets, not the first batch alone')
    p.add_argument('--device', help='torch device; the GPU where there is one')
    return p


def main(args):
    report = check(config_of(args), args.device, args.debug, args.every_sample)
    if args.json:
        write_json(args.json, report)
    show(report)
    if report['errors']:
        sys.exit(1)


if __name__ == '__main__':
    command(main, arguments())
