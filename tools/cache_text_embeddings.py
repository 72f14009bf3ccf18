"""``vkd cache-text`` for who expects ``tools/cache_text_embeddings.py``; the options are the same."""

from functools import partial

from vkd.commands import cache_text
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, cache_text), cache_text.main

if __name__ == '__main__':
    command(main, arguments())
