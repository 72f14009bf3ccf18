"""Restore images, CT slices or DICOM series. They may have any size; depth and geometry are kept.

Example:

    vkd restore vkd::alone/alone_imdn_300k_div2k-x4.py imdn_x4.pth photos --out restored
"""

import argparse

from ..errors import UserError
from .line import add_config, config_of


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd restore`` takes."""
    add_config(p)
    p.add_argument('checkpoint', help='checkpoint of a run of this config, an exported student, or converted official weights')
    p.add_argument(
        'inputs',
        nargs='+',
        help='image files, or folders of them; of a network of CT slices (16-bit PNG, npy, DICOM), or folders of slices or of one DICOM series',
    )
    p.add_argument('--out', required=True, metavar='DIR', help='folder to write to; not one of the inputs')
    p.add_argument(
        '--tile',
        type=int,
        help='pixels of the input a side at a time; 0 takes the whole image; default: 256, or 0 where the network pools over the whole image '
        'and memory allows',
    )
    p.add_argument('--overlap', type=int, default=32, help='pixels that a tile sees beyond its own on each side')
    p.add_argument('--offset', type=int, default=1024, help='of CT: what a 16-bit PNG has at 0 HU; DeepLesion has 32768')
    p.add_argument(
        '--simulate',
        action='store_true',
        help='of CT: the inputs are full reconstructions, of which the scanner of the config makes one from few views first',
    )
    p.add_argument('--overwrite', action='store_true', help='replace results that exist')
    p.add_argument('--device', help='torch device; the GPU where there is one')
    p.add_argument('--no-progress', action='store_true', help='no progress bar')


def main(args: argparse.Namespace) -> None:
    """Prints the files that were written."""
    import torch

    from ..build.built import scope
    from ..build.networks import build_model
    from ..restore.ct import restore_slices
    from ..restore.images import load_restorer, restore_files

    cfg, device = config_of(args), args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    restorer = load_restorer(cfg, args.checkpoint).to(device)
    if args.simulate and not (restorer.channels == 1 and cfg.model.get('data_preprocessor')):
        raise UserError(
            f'--simulate needs the scanner of a CT config, and {args.config!r} has none as its data_preprocessor; leave it out.'
        )
    if restorer.channels == 1:
        with scope(cfg):
            scanner = build_model(cfg.model.data_preprocessor).to(device) if args.simulate else None
        files = restore_slices(restorer, args.inputs, args.out, scanner, args.offset, args.overwrite, not args.no_progress)
    else:
        files = restore_files(restorer, args.inputs, args.out, args.tile, args.overlap, args.overwrite, not args.no_progress)
    for file in files:
        print(file)
