"""``vkd visualize ct`` for who expects ``tools/visualize_ct.py``; the options are the same."""

from functools import partial

from vkd.commands.line import command, parser_of
from vkd.commands.visualize import ct

arguments, main = partial(parser_of, ct), ct.main

if __name__ == '__main__':
    command(main, arguments())
