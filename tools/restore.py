"""Restore image files or folders by a trained network: any size, grey, alpha and 16 bits kept."""
import torch

from vkd.cli import add_config, command, parser
from vkd.config import load_config
from vkd.restore import load_restorer, restore_files


def arguments():
    p = add_config(parser(__doc__))
    p.add_argument('checkpoint', help='checkpoint of a run of this config, an exported student, or converted official weights')
    p.add_argument('inputs', nargs='+', help='image files, or folders of them')
    p.add_argument('--out', required=True, metavar='DIR', help='folder to write to; not one of the inputs')
    p.add_argument('--tile', type=int, default=256, help='pixels of the input a side at a time; 0 takes the whole image')
    p.add_argument('--overlap', type=int, default=32, help='pixels that a tile sees beyond its own on each side')
    p.add_argument('--overwrite', action='store_true', help='replace results that exist')
    p.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='where to run')
    p.add_argument('--no-progress', action='store_true', help='no progress bar')
    return p


def main(args):
    restorer = load_restorer(load_config(args.config, args.cfg_options), args.checkpoint).to(args.device)
    for file in restore_files(restorer, args.inputs, args.out, args.tile, args.overlap, args.overwrite, not args.no_progress):
        print(file)


if __name__ == '__main__':
    command(main, arguments())
