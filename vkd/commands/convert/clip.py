"""An official archive of OpenAI's CLIP to a plain state dict. The archive is in TorchScript (ViT-B-16.pt and the like); the state dict is
marked as OpenAI's, for the -quickgelu models of open_clip.
"""

import argparse

from ...errors import UserError


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd convert clip`` takes."""
    p.add_argument('source', help='TorchScript archive')
    p.add_argument('target', help='file to write, ending in .safetensors')
    p.add_argument(
        '--run-archive-code',
        action='store_true',
        help='reading a TorchScript archive runs code that is inside it; say that you trust the file',
    )


def main(args: argparse.Namespace) -> None:
    """Prints how many tensors were written."""
    from ...models.clip import convert_archive

    if not args.run_archive_code:
        raise UserError(
            f'Reading {args.source!r} as a TorchScript archive runs code that is inside it; where you trust the file, say so with '
            '--run-archive-code.'
        )
    print(f'{convert_archive(args.source, args.target)} tensors: {args.target}')
