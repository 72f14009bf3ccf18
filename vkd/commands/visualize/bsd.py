"""Who teaches whom, by region and by pixel, in a run of CTCL-R."""

import argparse

from ..line import add_config, config_of


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd visualize bsd`` takes."""
    add_config(p)
    p.add_argument('checkpoint', help='checkpoint of a run of this config')
    p.add_argument('--images', type=int, nargs='+', default=[0], metavar='INDEX', help='which images of the split, from 0')
    p.add_argument('--split', choices=['val', 'test'], default='test', help='of which data loader')
    p.add_argument('--pair', nargs=2, metavar='ROLE', help='two roles; the student and the first peer by default')
    p.add_argument('--out', default='bsd.png', metavar='PNG', help='file to write')


def main(args: argparse.Namespace) -> None:
    """Prints the file that was written."""
    from ...visualize.text_and_masks import bsd_picture

    bsd_picture(config_of(args), args.checkpoint, args.images, args.out, args.pair, args.split)
    print(args.out)
