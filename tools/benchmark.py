"""``vkd benchmark`` for who expects ``tools/benchmark.py``; the options are the same."""

from functools import partial

from vkd.commands import benchmark
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, benchmark), benchmark.main

if __name__ == '__main__':
    command(main, arguments())
