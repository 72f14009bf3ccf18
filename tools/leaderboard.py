"""Tables and one self-contained page from run folders."""
from vkd.cli import command, parser
from vkd.leaderboard import build


def arguments():
    p = parser(__doc__)
    p.add_argument('folder', help='suite folder, or a folder of run or suite folders')
    p.add_argument('--out', help='folder to write to; the same by default')
    p.add_argument('--title', help='title of the page')
    p.add_argument('--metric', help='score of metrics.json to rank by; mIoU by default')
    return p


def main(args):
    for path in build(args.folder, args.out, args.title, args.metric).values():
        print(path)


if __name__ == '__main__':
    command(main, arguments())
