"""CT slices from few views, restored and true. They are shown in three windows, with errors and sinograms."""

import argparse

from ..line import add_config, config_of


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd visualize ct`` takes."""
    add_config(p)
    p.add_argument('checkpoint', help='checkpoint of a run of this config')
    p.add_argument('--images', type=int, nargs='+', default=[0], metavar='INDEX', help='which slices of the split, from 0')
    p.add_argument('--split', choices=['val', 'test'], default='test', help='of which data loader')
    p.add_argument('--error', type=float, default=100, metavar='HU', help='where the colours of errors end')
    p.add_argument('--out', default='ct.png', metavar='PNG', help='file to write')


def main(args: argparse.Namespace) -> None:
    """Prints the file that was written."""
    from ...visualize.ct import ct_picture

    ct_picture(config_of(args), args.checkpoint, args.images, args.out, args.split, error=args.error)
    print(args.out)
