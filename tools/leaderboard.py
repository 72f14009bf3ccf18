"""``vkd leaderboard`` for who expects ``tools/leaderboard.py``; the options are the same."""

from functools import partial

from vkd.commands import leaderboard
from vkd.commands.line import command, parser_of

arguments, main = partial(parser_of, leaderboard), leaderboard.main

if __name__ == '__main__':
    command(main, arguments())
