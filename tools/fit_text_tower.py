"""``vkd fit-text-tower`` for who expects ``tools/fit_text_tower.py``; the options are the same."""

from functools import partial

from vkd.commands import fit_text_tower
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, fit_text_tower), fit_text_tower.main

if __name__ == '__main__':
    command(main, arguments())
