"""What ``vkd …`` does: one file a command, whose docstring is its help; a folder is a command of several kinds (``vkd convert sr``)."""

import ast
from importlib import import_module
from pathlib import Path
from types import ModuleType

from ..errors import UserError, nearest

#: what ``vkd --help`` shows, in this order; a name is that of a file here, with - for _
GROUPS: dict[str, tuple[str, ...]] = {
    'Start': ('new', 'list', 'check'),
    'Train and test': ('train', 'test', 'suite'),
    'Numbers': ('leaderboard', 'corruptions', 'attacks', 'benchmark'),
    'Use what was trained': ('export', 'restore', 'visualize', 'plot'),
    'Prepare files': ('convert', 'prepare-sr', 'cache-text', 'fit-text-tower'),
}


def names(group: str = '') -> list[str]:
    """The commands, or the kinds of one that has several."""
    files = Path(__file__).parent.joinpath(*_parts(group)).glob('*')
    found = {f.stem.replace('_', '-') for f in files if f.suffix == '.py' or (f / '__init__.py').is_file()}
    return sorted(name for name in found - {'line'} if not name.startswith('-'))


def summary(*words: str) -> str:
    """The first sentence of a command's docstring. The file is read, not imported."""
    file = Path(__file__).parent.joinpath(*(part for word in words for part in _parts(word)))
    file = file / '__init__.py' if file.is_dir() else file.with_suffix('.py')
    return first_sentence(ast.get_docstring(ast.parse(file.read_text(encoding='utf-8'))) or '')


def first_sentence(text: str) -> str:
    """``'It does. More of it.'`` -> ``'It does.'``, on one line; ``'It does: this;  that'`` stays as it is."""
    line = ' '.join(text.split('\n\n')[0].split())
    end = line.find('. ')
    return line if end < 0 else line[: end + 1]


def load(*words: str) -> ModuleType:
    """The module of a command, ``load('train')`` or ``load('convert', 'sr')``; no other is imported.

    Raises:
        UserError: for a command that there is not, with the nearest names.
    """
    for i, word in enumerate(words):
        known = names(*words[:i])
        if word not in known:
            what = ' '.join(('vkd', *words[: i + 1]))
            raise UserError(f'{what!r} is no command; {nearest(word, known)}; {" ".join(("vkd", *words[:i]))} --help lists all.')
    return import_module('.'.join((__name__, *(part for word in words for part in _parts(word)))))


def _parts(word: str) -> list[str]:
    return [word.replace('-', '_')] if word else []
