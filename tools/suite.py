"""``vkd suite`` for who expects ``tools/suite.py``; the options are the same."""

from functools import partial

from vkd.commands import suite
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, suite), suite.main

if __name__ == '__main__':
    command(main, arguments())
