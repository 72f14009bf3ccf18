"""Draw what a network with a CLIP semantic head names among its own classes, and among any others that text embeddings are given of."""

from vkd.commands.line import add_config, command, config_of, parser
from vkd.visualize.text_and_masks import text_picture


def arguments():
    p = add_config(parser(__doc__))
    p.add_argument('checkpoint', help='checkpoint of a run of this config')
    p.add_argument('--text-embeddings', nargs='+', required=True, metavar='FILE', help='files of tools/cache_text_embeddings.py')
    p.add_argument('--images', type=int, nargs='+', default=[0], metavar='INDEX', help='which images of the split, from 0')
    p.add_argument('--split', choices=['val', 'test'], default='test', help='of which data loader')
    p.add_argument('--out', default='text.png', metavar='PNG', help='file to write')
    return p


def main(args):
    shares = text_picture(config_of(args), args.checkpoint, args.text_embeddings, args.images, args.out, args.split)
    for path, found in shares.items():
        print(f'{path}: {", ".join(f"{name} {share:.1%}" for name, share in sorted(found.items(), key=lambda x: -x[1]) if share)}')
    print(args.out)


if __name__ == '__main__':
    command(main, arguments())
