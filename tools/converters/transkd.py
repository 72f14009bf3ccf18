"""``vkd convert segformer`` for who expects ``tools/converters/transkd.py``; the options are the same."""

from functools import partial

from vkd.commands.convert import segformer
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, segformer), segformer.main

if __name__ == '__main__':
    command(main, arguments())
