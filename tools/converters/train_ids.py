"""Write the labels of GTAV, SYNTHIA or Mapillary Vistas in the 19 classes of Cityscapes, beside the raw ones."""

from vkd.commands.line import command, parser
from vkd.datasets.street import RAW_IDS, write_train_ids


def arguments():
    p = parser(__doc__)
    p.add_argument('name', choices=sorted(RAW_IDS))
    p.add_argument('--root', help='folder of the data set; data/<name> by default')
    p.add_argument('--split', choices=['train', 'val'], default='train')
    return p


def main(args):
    print(f'{write_train_ids(args.name, args.root, args.split)} labels written')


if __name__ == '__main__':
    command(main, arguments())
