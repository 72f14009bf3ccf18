"""Where a number came from: the machine, the versions, the commit."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ..build.memory import memory_gib
from ..io.files import digest

#: name in run.json -> distributions that may provide it, the maintained continuation first
_DISTRIBUTIONS = dict(
    torch=('torch',),
    torchvision=('torchvision',),
    mmengine=('onedl-mmengine', 'mmengine'),
    mmcv=('onedl-mmcv', 'mmcv', 'mmcv-lite'),
    mmsegmentation=('onedl-mmsegmentation', 'mmsegmentation'),
    timm=('timm',),
    vkd=('vkd',),
)


def _cpu():
    """The processor's own name; platform gives only the architecture on Linux."""
    try:
        for line in Path('/proc/cpuinfo').read_text().splitlines():
            if line.lower().startswith('model name'):
                return line.split(':', 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or 'unknown'


def hardware():
    """``dict(cpu, cores, threads, memory_gib, gpu)``: cores this process may use, torch's threads, GPU's name or None."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return dict(
        cpu=_cpu(),
        cores=cores,
        threads=torch.get_num_threads(),
        memory_gib=memory_gib(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    )


def versions():
    """``{name: version}`` of Python and of what a result depends on; None for what is not installed."""
    out = dict(python=platform.python_version())
    for name, distributions in _DISTRIBUTIONS.items():
        out[name] = next((v for v in map(_version, distributions) if v), None)
    if out['vkd'] is None:  # used from a checkout that was not installed
        from .. import __version__

        out['vkd'] = __version__
    return out


def _version(distribution):
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def git_state():
    """``dict(commit, dirty)`` of the checkout this package lies in; commit None without git (an installed copy)."""
    root = Path(__file__).resolve().parent.parent

    def git(*args):
        return subprocess.run(['git', '-C', str(root), *args], capture_output=True, text=True, timeout=30, check=True).stdout.strip()

    try:
        # a site-packages folder inside somebody else's checkout is not this project's commit
        if not git('ls-files', 'vkd/__init__.py'):
            return dict(commit=None, dirty=False)
        return dict(commit=git('rev-parse', 'HEAD'), dirty=bool(git('status', '--porcelain', '--untracked-files=no')))
    except (OSError, subprocess.SubprocessError):
        return dict(commit=None, dirty=False)


def data_digest(dataset):
    """Hex digest of which samples a data set lists, in order: of the last three parts of each path, so that the same list in another place
    has the same one; None where it has no list.
    """
    if not hasattr(dataset, 'get_data_info'):
        return None
    infos = (dataset.get_data_info(i) for i in range(len(dataset)))
    return digest(
        [
            {k: Path(v).parts[-3:] if k.endswith('_path') else v for k, v in info.items() if isinstance(v, (str, int, float))}
            for info in infos
        ]
    )
