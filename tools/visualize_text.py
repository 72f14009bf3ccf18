"""``vkd visualize text`` for who expects ``tools/visualize_text.py``; the options are the same."""

from functools import partial

from vkd.commands.line import command, parser_of
from vkd.commands.visualize import text

arguments, main = partial(parser_of, text), text.main

if __name__ == '__main__':
    command(main, arguments())
