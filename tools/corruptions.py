"""``vkd corruptions`` for who expects ``tools/corruptions.py``; the options are the same."""

from functools import partial

from vkd.commands import corruptions
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, corruptions), corruptions.main

if __name__ == '__main__':
    command(main, arguments())
