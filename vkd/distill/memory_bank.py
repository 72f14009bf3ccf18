"""Vectors of past batches, the same in all processes."""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from ..build.memory import memory_gib
from ..errors import UserError


def gather_vectors(own: torch.Tensor) -> tuple[torch.Tensor, int]:
    """``(vectors of all processes [M, D], index of this process's first)``; without gradient."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return own, 0
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own.contiguous())
    return torch.cat(parts), dist.get_rank() * len(own)


class MemoryBank(nn.Module):
    """The last ``size`` vectors of all processes, first in, first out, in the state dict.

    The length of the vectors is taken from the first one that is pushed, or from the checkpoint. ``count`` (a tensor) is how many were
    pushed in all; the rows of ``vectors [size, D]`` beyond it are 0.
    """

    vectors: torch.Tensor
    count: torch.Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer('vectors', torch.zeros(size, 0))
        self.register_buffer('count', torch.zeros((), dtype=torch.long))

    @property
    def full(self) -> torch.Tensor:
        """Whether no row is empty, as a tensor: reading it would make the device wait."""
        return self.count >= self.size

    def reserve(self, length: int, device: torch.device) -> None:
        """Makes room for vectors of ``length`` numbers. Raises UserError where the bank would not fit into memory, or holds vectors of
        another length.
        """
        if self.vectors.shape[1] == length:
            return
        if self.vectors.shape[1]:
            raise UserError(
                f'The memory bank holds vectors of {self.vectors.shape[1]} numbers, but one of {length} came; give all batches, and the '
                'run that is resumed, images of one size.'
            )
        need, there = 4 * self.size * length / 2**30, usable_gib(device)
        if there is not None and need > there:
            raise UserError(
                f'A memory bank of {self.size} vectors of {length} numbers takes {need:.2f} GiB, but {device} has {there:.2f}; lower '
                'memory_size or channel_ratio, or narrow the band.'
            )
        self.vectors = torch.zeros(self.size, length, device=device)

    @torch.no_grad()
    def push(self, vectors: torch.Tensor) -> None:
        """Puts ``vectors [B, D]`` of every process in place of the oldest."""
        vectors = gather_vectors(vectors.detach().float())[0]
        self.reserve(vectors.shape[1], vectors.device)
        kept = vectors[-self.size :]
        skipped = len(vectors) - len(kept)
        self.vectors.index_copy_(0, (self.count + skipped + torch.arange(len(kept), device=kept.device)) % self.size, kept)
        self.count += len(vectors)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        saved = state.get(f'{prefix}vectors')
        if saved is not None and len(saved) == self.size and saved.shape != self.vectors.shape:
            self.vectors = torch.zeros_like(saved, device=self.vectors.device)
        super()._load_from_state_dict(state, prefix, *args)


def usable_gib(device: torch.device) -> float | None:
    """What is free on a GPU, or all that the machine of a CPU has, in GiB; None where the system does not say."""
    return torch.cuda.mem_get_info(device)[0] / 2**30 if device.type == 'cuda' else memory_gib()
