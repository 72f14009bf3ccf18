"""``vkd visualize bsd`` for who expects ``tools/visualize_bsd.py``; the options are the same."""

from functools import partial

from vkd.commands.line import command, parser_of
from vkd.commands.visualize import bsd

arguments, main = partial(parser_of, bsd), bsd.main

if __name__ == '__main__':
    command(main, arguments())
