"""Feature affinities: which places of a map resemble each other."""

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from ..method import PairMethod
from ..registry import METHODS
from ..schema import COUNT


def affinity(x, eps=1e-7):
    """``[C, H, W]`` -> ``[HW, HW]``: cosine of the channel vectors of any two places."""
    with torch.autocast(x.device.type, enabled=False):  # differences of cosines are smaller than what bfloat16 tells apart
        x = x.float().flatten(1)
        x = x / (x.norm(dim=0, keepdim=True) + eps)
        return x.T @ x


def spatial_affinity_loss(student, teacher):
    """Mean absolute difference of the spatial affinities of two maps ``[B, *, H, W]`` of one grid; He et al., "FAKD", ICIP 2020, unit
    vectors and L1 as in the authors' code. One image at a time, worked out again in the backward pass, since a batch takes much memory.
    """
    terms = [
        checkpoint(lambda a, b: (affinity(a) - affinity(b)).abs().mean(), *pair, use_reentrant=False)
        for pair in zip(student, teacher.detach())
    ]
    return torch.stack(terms).mean()


@METHODS.register_module()
class FAKD(PairMethod):
    """Spatial affinities at pairs of taps, mean over the pairs. The teacher's image, the source's second target, is ``OutputKD`` beside it.

    Args:
        student, teacher: taps, or lists of equally many.
        pool: side of an average pooling before, as in a variant of the authors' code.
    """

    loss_key, pairs, rules = 'loss_affinity', 'mean', dict(pool=COUNT)

    def __init__(self, student, teacher, pool=1, loss_weight=1.0, align='student'):
        super().__init__(student, teacher, loss_weight, align)
        self.keep(pool=pool)

    def loss(self, student, teacher):
        return spatial_affinity_loss(*(F.avg_pool2d(x, self.pool, ceil_mode=True) if self.pool > 1 else x for x in (student, teacher)))
