"""``vkd export`` for who expects ``tools/export.py``; the options are the same."""

from functools import partial

from vkd.commands import export
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, export), export.main

if __name__ == '__main__':
    command(main, arguments())
