"""Feature affinities: which places of a map resemble each other."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from ..align import align_size, check_align
from ..errors import expect
from ..registry import METHODS
from .at import check_pairs


def affinity(x, eps=1e-7):
    """``[C, H, W]`` -> ``[HW, HW]``: cosine of the channel vectors of any two places."""
    with torch.autocast(x.device.type, enabled=False):  # differences of cosines are smaller than what bfloat16 tells apart
        x = x.float().flatten(1)
        x = x / (x.norm(dim=0, keepdim=True) + eps)
        return x.T @ x


def _affinity_difference(student, teacher):
    return (affinity(student) - affinity(teacher)).abs().mean()


def spatial_affinity_loss(student, teacher):
    """Mean absolute difference of the spatial affinities of two maps ``[B, *, H, W]`` of one grid; channel counts need not agree.

    He et al., "FAKD: Feature-Affinity Based Knowledge Distillation for Efficient Image Super-Resolution", ICIP 2020, the spatial affinity;
    unit vectors and the L1 distance as in the authors' code.
    One image at a time, worked out again in the backward pass: the affinities of a batch of patches of 48x48 would take 340 MB for each of
        the two maps.
    """
    teacher = teacher.detach()
    terms = [
        checkpoint(_affinity_difference, s, t, use_reentrant=False) if s.requires_grad else _affinity_difference(s, t)
        for s, t in zip(student, teacher)
    ]
    return torch.stack(terms).mean()


@METHODS.register_module()
class FAKD(nn.Module):
    """Spatial affinities at pairs of taps, mean over the pairs. The source adds the teacher's image as a second target: that is
    ``OutputKD`` beside it.

    Args:
        student, teacher: taps, or lists of equally many.
        pool: side of the average pooling before (the authors' code has such a variant); 2 makes the affinities 16 times smaller.
        align: whose grid is kept where they differ, 'student' or 'teacher'.
    """

    def __init__(self, student, teacher, pool=1, loss_weight=1.0, align='student'):
        super().__init__()
        self.student_taps, self.teacher_taps = ([x] if isinstance(x, str) else list(x) for x in (student, teacher))
        check_pairs(self)
        check_align(self, align)
        expect(pool >= 1, 'FAKD', 'pool', pool, 'a whole number from 1')
        self.pool, self.loss_weight, self.align = pool, loss_weight, align

    def forward(self, student, teacher, batch):
        terms = []
        for s, t in zip(self.student_taps, self.teacher_taps):
            pair = align_size(student[s], teacher[t], self.align)
            terms.append(spatial_affinity_loss(*((F.avg_pool2d(x, self.pool, ceil_mode=True) for x in pair) if self.pool > 1 else pair)))
        return dict(loss_affinity=self.loss_weight * sum(terms) / len(terms))
