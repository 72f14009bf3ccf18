"""``vkd …``, or ``python -m vkd …``: one command from anywhere. Only the module of the command that is asked for is imported."""

import sys
from collections.abc import Iterable, Sequence

from . import __version__
from .commands import GROUPS, load, names, summary
from .commands.line import command, parser_of
from .errors import UserError

START = """\
A first run, of a few minutes on a CPU, without a download:
  vkd suite vkd::suites/demo.py
Your own mm config:
  vkd new mine.py
Options of a command:
  vkd train --help"""


def help_text() -> str:
    """What ``vkd --help`` prints: every command with a line of its own."""
    lines = [
        'usage: vkd COMMAND …',
        '',
        'Knowledge distillation for dense vision on the OpenMMLab stack, with numbers that can be trusted.',
        '',
    ]
    for title, group in GROUPS.items():
        lines += [f'{title}:', *_listed((name, summary(name)) for name in group), '']
    return '\n'.join([*lines, START])


def kinds_text(name: str) -> str:
    """What the help of a command of several kinds prints."""
    kinds = [(kind, summary(name, kind)) for kind in names(name)]
    return '\n'.join(
        [f'usage: vkd {name} KIND …', '', summary(name), '', *_listed(kinds), '', f'Options of a kind: vkd {name} {kinds[0][0]} --help']
    )


def _listed(lines: Iterable[tuple[str, str]]) -> list[str]:
    return [f'  {name:<15} {told}' for name, told in lines]


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command line, that of the process by default."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ('-h', '--help', 'help'):
        print(help_text())
        return
    if words[0] in ('-V', '--version'):
        print(f'vkd {__version__}')
        return
    try:
        path, module = words[:1], load(words[0])
        if hasattr(module, '__path__'):  # of several kinds
            if len(words) < 2 or words[1] in ('-h', '--help'):
                print(kinds_text(words[0]))
                sys.exit(2 if len(words) < 2 else 0)
            path, module = words[:2], load(*words[:2])
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    command(module.main, parser_of(module, f'vkd {" ".join(path)}'), words[len(path) :])


if __name__ == '__main__':
    main()
