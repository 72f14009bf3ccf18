"""``vkd convert sr`` for who expects ``tools/converters/sr.py``; the options are the same."""

from functools import partial

from vkd.commands.convert import sr
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, sr), sr.main

if __name__ == '__main__':
    command(main, arguments())
