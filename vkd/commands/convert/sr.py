"""Official weights of IMDN, RFDN, EDSR or RCAN to vkd names, or back. Of IMDN also the variants IMDN_AS and IMDN_RTC."""

import argparse


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd convert sr`` takes."""
    from ...convert.sr import NAMES

    p.add_argument('source', help='checkpoint to convert')
    p.add_argument('target', help='file to write')
    p.add_argument('--network', choices=list(NAMES), help='whose weights they are; recognised by their names by default')
    p.add_argument('--back', action='store_true', help='from vkd names, of a network, a restorer or a run, to the official ones')


def main(args: argparse.Namespace) -> None:
    """Prints how many tensors became how many."""
    import torch

    from ...build.checkpoint import load_weights
    from ...convert.sr import goes_by_order, official_to_vkd, recognise, vkd_to_official
    from ...io.files import write_whole

    state, how = load_weights(args.source), ''
    if args.back:
        state = {k: v for k, v in state.items() if not k.startswith(('methods.', 'teacher.'))}
        converted = vkd_to_official(state, args.network)
    else:
        network = args.network or recognise(state)
        converted = dict(state_dict=official_to_vkd(state, network))
        if goes_by_order(state, network):
            how = f" ({network}: their names are not the authors' code's, so they were taken in their order, all shapes checked)"
    write_whole(args.target, lambda file: torch.save(converted, file))
    print(f'{len(state)} tensors became {len(converted.get("state_dict", converted))}{how}: {args.target}')
