"""A guard against batches that are far worse than others."""

import torch
import torch.distributed as dist
from torch import nn


class OutlierCap(nn.Module):
    """``loss`` (a scalar), or, where it is above ``factor`` times the least of the last ``window`` (itself among them), that limit without
    a gradient: such a batch teaches nothing.

    GloReDi's release does this too, with the limit as a constant that has no graph, on which ``backward`` fails; here the graph stays and
    its gradient is 0. The losses are kept in the checkpoint, and are the means over all processes, which so decide alike. An infinite loss
    stays infinite, for ``StopOnNonFinite`` to
    see: through an infinite pass not even a gradient of 0 comes back finite.
    """

    def __init__(self, window=50, factor=3.0):
        super().__init__()
        self.factor = factor
        self.register_buffer('past', torch.full((window,), float('inf')))

    def forward(self, loss):
        seen = loss.detach().float()
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            seen = seen.clone()
            dist.all_reduce(seen)
            seen = seen / dist.get_world_size()
        if self.training:
            self.past.copy_(torch.cat([self.past[1:], seen[None]]))
        limit = self.factor * torch.minimum(self.past.min(), seen)
        return torch.where((seen > limit) & seen.isfinite(), 0 * loss + limit, loss)
