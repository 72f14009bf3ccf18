"""Run the missing cells of a suite and write its leaderboard; started again after anything, it continues."""

import sys

from vkd.commands.line import command, parser
from vkd.leaderboard import build
from vkd.runs.suite import run_suite


def arguments():
    p = parser(__doc__)
    p.add_argument('suite', help='suite file, such as configs/suites/demo.py')
    p.add_argument('--work-dir', help='suite folder; work_dirs/<name> by default')
    p.add_argument('--jobs', type=int, help='runs at a time; by default one a GPU, or as many as cores and memory allow')
    p.add_argument('--launcher', choices=['local', 'slurm'], default='local', help='processes here, or jobs of a Slurm cluster')
    return p


def main(args):
    page, failed = run_suite(args.suite, args.work_dir, args.jobs, args.launcher, build=build)
    if failed:
        print(f'{len(failed)} runs failed: {", ".join(failed)}')
    print(page)
    if failed:
        sys.exit(1)


if __name__ == '__main__':
    command(main, arguments())
