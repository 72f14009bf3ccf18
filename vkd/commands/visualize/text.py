"""Classes that a CLIP semantic head names in images. They are its own, or any that text embeddings are given of."""

import argparse

from ..line import add_config, config_of


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd visualize text`` takes."""
    add_config(p)
    p.add_argument('checkpoint', help='checkpoint of a run of this config')
    p.add_argument('--text-embeddings', nargs='+', required=True, metavar='FILE', help='files of vkd cache-text')
    p.add_argument('--images', type=int, nargs='+', default=[0], metavar='INDEX', help='which images of the split, from 0')
    p.add_argument('--split', choices=['val', 'test'], default='test', help='of which data loader')
    p.add_argument('--out', default='text.png', metavar='PNG', help='file to write')


def main(args: argparse.Namespace) -> None:
    """Prints the share of each class and the file that was written."""
    from ...visualize.text_and_masks import text_picture

    shares = text_picture(config_of(args), args.checkpoint, args.text_embeddings, args.images, args.out, args.split)
    for path, found in shares.items():
        print(f'{path}: {", ".join(f"{name} {share:.1%}" for name, share in sorted(found.items(), key=lambda x: -x[1]) if share)}')
    print(args.out)
