"""Suites that run in a process of their own."""

import os
import subprocess
import sys

from helpers import ROOT


def start(path, work_dir):
    """The process of ``tools/suite.py`` on the suite file ``path``, two runs at a time; its output is piped."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / 'tools/suite.py'), str(path), '--work-dir', str(work_dir), '--jobs', '2'],
        cwd=ROOT,
        text=True,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
    )
