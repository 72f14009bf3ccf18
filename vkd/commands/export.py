"""Write the student alone, for plain mmseg and as ONNX. A json beside the weights says where they came from.

Example:

    vkd export mine.py work_dirs/mine/iter_900.pth --out exported --onnx
"""

import argparse

from .line import add_config, config_of


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd export`` takes."""
    add_config(p)
    p.add_argument('checkpoint', help='checkpoint of a run of this config')
    p.add_argument('--out', required=True, metavar='DIR', help='folder to write to')
    p.add_argument('--onnx', action='store_true', help='write an ONNX graph as well, compared with torch in onnxruntime')
    p.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), help='size at which the graph is traced; the training size by default')
    p.add_argument('--role', default='student', help='which network: the student, or a peer that learnt beside it')
    p.add_argument('--text-embeddings', metavar='FILE', help='other classes for a CLIP semantic head, as vkd cache-text writes them')
    p.add_argument('--text-input', action='store_true', help='the ONNX graph takes the rows of text as a second input')


def main(args: argparse.Namespace) -> None:
    """Prints the files that were written, and what they need."""
    from ..export.student import export

    content = export(
        config_of(args),
        args.checkpoint,
        args.out,
        args.onnx,
        args.shape and tuple(args.shape),
        args.role,
        args.text_embeddings,
        args.text_input,
    )
    for file in content['files']:
        print(f'{args.out}/{file}')
    print(f'{args.out}/{content["name"]}.json')
    if content['needs_modules']:
        print(f'The config imports {", ".join(content["needs_modules"])}: they must be found where it is used.')
    if content['onnx'] and content['onnx']['size'] != 'any':
        height, width = content['onnx']['size']
        print(f'The ONNX graph takes images of {height}x{width} alone; --shape H W traces it at another size.')
