"""Draw what runs have logged over the iterations. Seeds of one run share a line, with their range."""

import argparse


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd plot`` takes."""
    p.add_argument('runs', nargs='+', help='run folders')
    p.add_argument('--keys', nargs='+', required=True, help='names as in the log, such as pixel_density_student')
    p.add_argument('--smooth', type=int, default=1, metavar='N', help='average over N logged values')
    p.add_argument('--label', help='of the vertical axis')
    p.add_argument('--out', default='curves.svg', help='file to write: svg, png or pdf')


def main(args: argparse.Namespace) -> None:
    """Prints the file that was written."""
    from ..runs.curves import curves, draw_curves

    draw_curves(curves(args.runs, args.keys), args.out, args.smooth, args.label)
    print(args.out)
