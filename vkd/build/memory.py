"""How much memory a forward pass needs, before it is run, and how much there is."""

import copy
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Live(TorchDispatchMode):
    """Adds up the bytes of the tensors that are alive after each operation; ``peak`` is the largest sum."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.alive = {key: entry for key, entry in self.alive.items() if not entry[0].expired()}
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self.alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))
        return out


@torch.no_grad()
def forward_bytes(network: nn.Module, shape: Sequence[int], call: Callable[[nn.Module, torch.Tensor], object] | None = None) -> int:
    """Peak bytes of the input and of all that a forward pass of ``network`` on float32 ``[B, C, H, W] = shape`` holds at once, weights left
    out.

    It is counted on a copy without memory (torch's meta device), in no time and whatever the size; what a backend needs for itself beyond
    the tensors is not in it. ``call(network, x)``: the pass, where it is not ``network(x)``.
    """
    twin = copy.deepcopy(network).to('meta').eval()
    with _Live() as live:
        (call or (lambda own, x: own(x)))(twin, torch.empty(shape, device='meta'))
    peak: int = live.peak
    return peak


def free_bytes(device: torch.device | str) -> int:
    """Bytes that can still be allocated on ``device``: on a GPU what the driver and torch's own cache have left; else what the operating
    system can give, within the limit of a container.
    """
    device = torch.device(device)
    if device.type == 'cuda':
        return int(torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return min([_system_bytes(), *_container_bytes()])


def _system_bytes() -> int:
    facts = Path('/proc/meminfo')
    if facts.is_file():
        lines = dict(line.split(':') for line in facts.read_text().splitlines())
        return 1024 * int(lines['MemAvailable'].split()[0])
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 2  # no system tells what is free in one way; half is a guess


def _container_bytes(folder: Path | str = '/sys/fs/cgroup') -> list[int]:
    """``[limit - use]`` of the control group's memory; empty where there is no limit."""
    limit, use = Path(folder, 'memory.max'), Path(folder, 'memory.current')
    if limit.is_file() and use.is_file() and (text := limit.read_text().strip()).isdigit():
        return [max(int(text) - int(use.read_text()), 0)]
    return []


def memory_gib() -> float | None:
    """Physical memory in GiB; None where the system does not say."""
    try:
        return round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
