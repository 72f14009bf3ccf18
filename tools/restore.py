"""``vkd restore`` for who expects ``tools/restore.py``; the options are the same."""

from functools import partial

from vkd.commands import restore
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, restore), restore.main

if __name__ == '__main__':
    command(main, arguments())
