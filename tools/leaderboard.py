"""Tables and one self-contained page from run folders; whether they still say what the runs said; results of others beside them."""

import sys

from vkd.commands.line import command, parser
from vkd.leaderboard import build
from vkd.leaderboard.board import build_board
from vkd.leaderboard.external import submit
from vkd.leaderboard.reading import read_runs
from vkd.leaderboard.verify import refresh, verify


def arguments():
    p = parser(__doc__)
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
    for p_ in (two, four):
        p_.add_argument('folder', help='folder of a leaderboard.json')
    for p_ in (one, three):
        p_.add_argument('folder', help='suite folder, or a folder of run or suite folders')
        p_.add_argument('--out', help='folder to write to; the same by default')
        p_.add_argument('--title', help='title of the page')
        p_.add_argument('--metric', help='score of metrics.json to rank by; mIoU by default')
    return p


def main(args):
    if args.kind == 'verify':
        wrong = verify(args.folder, args.runs)
        print('\n'.join(wrong) or f'{args.folder}: the table says what its runs say')
        sys.exit(bool(wrong))
    if args.kind == 'board':
        print(build_board(args.folder))
        return
    if args.kind == 'submit':
        print(submit(args.results, args.folder, args.source, {(r.data, r.protocol) for r in read_runs(args.folder)[0]}))
    for path in (refresh(args.folder) if args.kind == 'refresh' else build(args.folder, args.out, args.title, args.metric)).values():
        print(path)


if __name__ == '__main__':
    command(main, arguments())
