"""Draw figures that runs have logged over the iterations; seeds of one run share a line, with their range."""

from vkd.commands.line import command, parser
from vkd.runs.curves import curves, draw_curves


def arguments():
    p = parser(__doc__)
    p.add_argument('runs', nargs='+', help='run folders')
    p.add_argument('--keys', nargs='+', required=True, help='names as in the log, such as pixel_density_student')
    p.add_argument('--smooth', type=int, default=1, metavar='N', help='average over N logged values')
    p.add_argument('--label', help='of the vertical axis')
    p.add_argument('--out', default='curves.svg', help='file to write: svg, png or pdf')
    return p


def main(args):
    draw_curves(curves(args.runs, args.keys), args.out, args.smooth, args.label)
    print(args.out)


if __name__ == '__main__':
    command(main, arguments())
