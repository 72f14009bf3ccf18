"""``vkd test`` for who expects ``tools/test.py``; the options are the same."""

from functools import partial

from vkd.commands import test
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, test), test.main

if __name__ == '__main__':
    command(main, arguments())
