"""``vkd attacks`` for who expects ``tools/attacks.py``; the options are the same."""

from functools import partial

from vkd.commands import attacks
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, attacks), attacks.main

if __name__ == '__main__':
    command(main, arguments())
