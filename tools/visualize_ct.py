"""Draw CT slices from few views, restored and true, in three windows, with errors and sinograms."""

from vkd.commands.line import add_config, command, config_of, parser
from vkd.visualize.ct import ct_picture


def arguments():
    p = add_config(parser(__doc__))
    p.add_argument('checkpoint', help='checkpoint of a run of this config')
    p.add_argument('--images', type=int, nargs='+', default=[0], metavar='INDEX', help='which slices of the split, from 0')
    p.add_argument('--split', choices=['val', 'test'], default='test', help='of which data loader')
    p.add_argument('--error', type=float, default=100, metavar='HU', help='where the colours of errors end')
    p.add_argument('--out', default='ct.png', metavar='PNG', help='file to write')
    return p


def main(args):
    ct_picture(config_of(args), args.checkpoint, args.images, args.out, args.split, error=args.error)
    print(args.out)


if __name__ == '__main__':
    command(main, arguments())
