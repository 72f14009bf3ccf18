"""``vkd convert clip`` for who expects ``tools/converters/clip.py``; the options are the same."""

from functools import partial

from vkd.commands.convert import clip
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, clip), clip.main

if __name__ == '__main__':
    command(main, arguments())
