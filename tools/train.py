"""``vkd train`` for who expects ``tools/train.py``; the options are the same."""

from functools import partial

from vkd.commands import train
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, train), train.main

if __name__ == '__main__':
    command(main, arguments())
