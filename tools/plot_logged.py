"""``vkd plot`` for who expects ``tools/plot_logged.py``; the options are the same."""

from functools import partial

from vkd.commands import plot
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, plot), plot.main

if __name__ == '__main__':
    command(main, arguments())
