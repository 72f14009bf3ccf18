"""Official weights of SegFormer or TransKD to mmseg names, or back."""

import argparse


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd convert segformer`` takes."""
    p.add_argument('source', help='checkpoint to convert')
    p.add_argument('target', help='file to write')
    p.add_argument('--back', action='store_true', help='from mmseg names to the official ones')


def main(args: argparse.Namespace) -> None:
    """Prints how many tensors became how many."""
    import torch

    from ...build.checkpoint import load_weights
    from ...convert.segformer import mmseg_to_segformer, segformer_to_mmseg
    from ...io.files import write_whole

    state = load_weights(args.source)
    if args.back:
        state = {k.removeprefix('student.'): v for k, v in state.items() if not k.startswith(('methods.', 'teacher.'))}
    converted = (mmseg_to_segformer if args.back else segformer_to_mmseg)(state)
    write_whole(args.target, lambda file: torch.save(dict(state_dict=converted), file))
    print(f'{len(state)} tensors became {len(converted)}: {args.target}')
