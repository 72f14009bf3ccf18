"""``vkd convert train-ids`` for who expects ``tools/converters/train_ids.py``; the options are the same."""

from functools import partial

from vkd.commands.convert import train_ids
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, train_ids), train_ids.main

if __name__ == '__main__':
    command(main, arguments())
