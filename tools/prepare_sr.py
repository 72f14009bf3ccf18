"""``vkd prepare-sr`` for who expects ``tools/prepare_sr.py``; the options are the same."""

from functools import partial

from vkd.commands import prepare_sr
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, prepare_sr), prepare_sr.main

if __name__ == '__main__':
    command(main, arguments())
