"""Feature affinities: which places of a map resemble each other."""

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from ..distill.method import PairMethod
from ..registry import METHODS
from ..schema import COUNT


def affinity(x, eps=1e-7):
    """``[C, H, W]`` -> ``[HW, HW]``: cosine of the channel vectors of any two places."""
    with torch.autocast(x.device.type, enabled=False):  # differences of cosines are smaller than what bfloat16 tells apart
        x = x.float().flatten(1)
        x = x / (x.norm(dim=0, keepdim=True) + eps)
        return x.T @ x


def _difference(student, teacher):
    return (affinity(student) - affinity(teacher)).abs().mean()


def spatial_affinity_loss(student, teacher):
    """Mean absolute difference of the spatial affinities of two maps ``[B, *, H, W]`` of one grid; He et al., "FAKD", ICIP 2020, unit
    vectors and L1 as in the authors' code. One image at a time, worked out again in the backward pass, since a batch takes much memory.
    """
    pairs = zip(student, teacher.detach(), strict=False)
    return torch.stack([checkpoint(_difference, *pair, use_reentrant=False) for pair in pairs]).mean()


@METHODS.register_module()
class FAKD(PairMethod):
    """Spatial affinities at taps ``student``, ``teacher`` (or lists of them, their mean), after an average pooling of side ``pool``, as in
    a variant of the authors' code. The source's second target, the teacher's image, is ``OutputKD`` beside it.
    """

    loss_key, pairs, rules = 'loss_affinity', 'mean', dict(pool=COUNT)

    def __init__(self, student, teacher, pool=1, loss_weight=1.0, align='student'):
        super().__init__(student, teacher, loss_weight, align)
        self.keep(pool=pool)

    def loss(self, student, teacher):
        return spatial_affinity_loss(*(F.avg_pool2d(x, self.pool, ceil_mode=True) if self.pool > 1 else x for x in (student, teacher)))
