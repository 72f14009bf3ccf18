"""Make tables and a page from run folders, and verify them. Results of others are kept beside them, marked as such.

Example:

    vkd leaderboard build work_dirs/demo --out docs/demo --title Demo
"""

import argparse
import sys


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd leaderboard`` takes."""
    kinds = p.add_subparsers(dest='kind', required=True, metavar='build | verify | submit | refresh | board')
    one = kinds.add_parser('build', help='write leaderboard.md, .csv, .json and .html')
    two = kinds.add_parser('verify', help='recompute a table, check its digests, and exit with 1 where something was changed')
    three = kinds.add_parser(
        'submit', help="check somebody else's leaderboard.json, keep it beside your runs, marked as external, and build"
    )
    two.add_argument('--runs', help='folder of the run folders, with which each score is compared too')
    three.add_argument('results', help='the leaderboard.json that was sent')
    three.add_argument('--source', required=True, help='who sent it')
    four = kinds.add_parser('refresh', help='write a table anew, as this version does, from its leaderboard.json alone')
    five = kinds.add_parser('board', help='write board.html of all tables below a folder: a tab a field')
    five.add_argument('folder', help='folder of folders with a leaderboard.json')
    for own in (two, four):
        own.add_argument('folder', help='folder of a leaderboard.json')
    for own in (one, three):
        own.add_argument('folder', help='suite folder, or a folder of run or suite folders')
        own.add_argument('--out', help='folder to write to; the same by default')
        own.add_argument('--title', help='title of the page')
        own.add_argument('--metric', help='score of metrics.json to rank by; mIoU by default')


def main(args: argparse.Namespace) -> None:
    """Prints the files that were written, or what does not fit; ``verify`` exits with 1 where something does not."""
    if args.kind == 'verify':
        from ..leaderboard.verify import verify

        wrong = verify(args.folder, args.runs)
        print('\n'.join(wrong) or f'{args.folder}: the table says what its runs say')
        sys.exit(bool(wrong))
    if args.kind == 'board':
        from ..leaderboard.board import build_board

        print(build_board(args.folder))
        return
    if args.kind == 'refresh':
        from ..leaderboard.verify import refresh

        written = refresh(args.folder)
    else:
        from ..leaderboard import build

        if args.kind == 'submit':
            from ..leaderboard.external import submit
            from ..leaderboard.reading import read_runs

            print(submit(args.results, args.folder, args.source, {(r.data, r.protocol) for r in read_runs(args.folder)[0]}))
        written = build(args.folder, args.out, args.title, args.metric)
    for path in written.values():
        print(path)
