"""Train many configs and compare them on a page. Only runs that are missing are trained: killed and started again, it continues.

Example:

    vkd suite vkd::suites/demo.py
"""

import argparse
import sys


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd suite`` takes."""
    p.add_argument('suite', help='suite file: a path, or vkd::suites/… of those that vkd ships (vkd list configs)')
    p.add_argument('--work-dir', help='suite folder; work_dirs/<name> by default')
    p.add_argument('--jobs', type=int, help='runs at a time; by default one a GPU, or as many as cores and memory allow')
    p.add_argument('--launcher', choices=['local', 'slurm'], default='local', help='processes here, or jobs of a Slurm cluster')


def main(args: argparse.Namespace) -> None:
    """Prints the path of the page; exits with 1 where a run failed."""
    from ..leaderboard import build
    from ..runs.suite import run_suite

    page, failed = run_suite(args.suite, args.work_dir, args.jobs, args.launcher, build=build)
    if failed:
        print(f'{len(failed)} runs failed: {", ".join(failed)}')
    print(page)
    if failed:
        sys.exit(1)
