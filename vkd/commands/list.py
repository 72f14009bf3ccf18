"""Say what there is: methods, models, datasets, metrics, configs. Words after it leave what has all of them.

Example:

    vkd list methods
    vkd list configs kl camvid
"""

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

from . import first_sentence

#: the folder of each kind, and the registry in which its classes are
KINDS = dict(
    methods=('methods', 'METHODS'), models=('models', 'MODELS'), datasets=('datasets', 'DATASETS'), metrics=('evaluation', 'METRICS')
)


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd list`` takes."""
    p.add_argument('what', nargs='?', choices=[*KINDS, 'configs'], help='what to list; how many there are of each by default')
    p.add_argument('having', nargs='*', metavar='WORD', help='only lines with all these words')


def registered(kind: str) -> dict[str, str]:
    """``{name: first sentence of its docstring}`` of what a room of the package registers. Files are read, not imported."""
    folder, registry = KINDS[kind]
    found = {}
    for file in sorted((Path(__file__).parents[1] / folder).rglob('*.py')):
        tree = ast.parse(file.read_text(encoding='utf-8'))
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and any(
                ast.unparse(d).startswith(f'{registry}.register_module') for d in node.decorator_list
            ):
                found[node.name] = first_sentence(ast.get_docstring(node) or ast.get_docstring(tree) or '')
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def configs() -> Iterator[tuple[str, str]]:
    """``(vkd::path, first sentence of its docstring)`` of each config and suite that vkd ships, without the parts that they are made of."""
    from ..build.config import packaged_configs

    root = packaged_configs('vkd')
    for file in sorted(root.rglob('*.py')):
        name = file.relative_to(root).as_posix()
        if not name.startswith('_base_/'):
            yield f'vkd::{name}', first_sentence(ast.get_docstring(ast.parse(file.read_text(encoding='utf-8'))) or '')


def main(args: argparse.Namespace) -> None:
    """Prints a line each."""
    if not args.what:
        for kind in KINDS:
            print(f'vkd list {kind:<9} {len(registered(kind)):4}')
        print(f'vkd list configs   {sum(1 for _ in configs()):4}')
        return
    # methods are written without a scope, everything else as vkd.Name
    lines = (
        configs() if args.what == 'configs' else [(f'{"vkd." * (args.what != "methods")}{k}', v) for k, v in registered(args.what).items()]
    )
    shown = [line for line in lines if all(w.lower() in ' '.join(line).lower() for w in args.having)]
    width = max((len(name) for name, told in shown if told), default=0)
    for name, told in shown:
        print(f'{name:<{width}}  {told.replace("``", "")}'.rstrip())
