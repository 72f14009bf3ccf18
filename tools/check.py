"""``vkd check`` for who expects ``tools/check.py``; the options are the same."""

from functools import partial

from vkd.commands import check
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, check), check.main

if __name__ == '__main__':
    command(main, arguments())
