"""Weights of official SegFormer-style checkpoints (SegFormer, TransKD) to mmseg names, or back."""

import torch

from vkd.build.checkpoint import load_weights
from vkd.commands.line import command, parser
from vkd.convert.segformer import mmseg_to_segformer, segformer_to_mmseg
from vkd.io.files import write_whole


def arguments():
    p = parser(__doc__)
    p.add_argument('source', help='checkpoint to convert')
    p.add_argument('target', help='file to write')
    p.add_argument('--back', action='store_true', help='from mmseg names to the official ones')
    return p


def main(args):
    state = load_weights(args.source)
    if args.back:
        state = {k.removeprefix('student.'): v for k, v in state.items() if not k.startswith(('methods.', 'teacher.'))}
    converted = (mmseg_to_segformer if args.back else segformer_to_mmseg)(state)
    write_whole(args.target, lambda file: torch.save(dict(state_dict=converted), file))
    print(f'{len(state)} tensors became {len(converted)}: {args.target}')


if __name__ == '__main__':
    command(main, arguments())
