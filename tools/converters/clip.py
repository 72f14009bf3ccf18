"""An official TorchScript archive of OpenAI's CLIP (ViT-B-16.pt and the like) to a plain state dict, marked as OpenAI's, for the -quickgelu
models of open_clip.
"""

from vkd.commands.line import command, parser
from vkd.errors import UserError
from vkd.models.clip import convert_archive


def arguments():
    p = parser(__doc__)
    p.add_argument('source', help='TorchScript archive')
    p.add_argument('target', help='file to write, ending in .safetensors')
    p.add_argument(
        '--run-archive-code',
        action='store_true',
        help='reading a TorchScript archive runs code that is inside it; say that you trust the file',
    )
    return p


def main(args):
    if not args.run_archive_code:
        raise UserError(
            f'Reading {args.source!r} as a TorchScript archive runs code that is inside it; where you trust the file, say so with '
            '--run-archive-code.'
        )
    print(f'{convert_archive(args.source, args.target)} tensors: {args.target}')


if __name__ == '__main__':
    command(main, arguments())
