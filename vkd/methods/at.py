"""Attention transfer."""

import torch.nn.functional as F
from torch import nn

from ..align import align_size, check_align
from ..errors import UserError, expect
from ..registry import METHODS


def attention_map(x, p=2):
    """``[B, C, H, W]`` -> ``[B, H*W]``: mean over channels of ``|x|^p``, unit length."""
    return F.normalize(x.float().abs().pow(p).mean(1).flatten(1), dim=1)


def at_loss(student, teacher, p=2):
    """Mean over batch of the squared distance of the two unit-length attention maps.

    Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, eq. 2 (their code squares and averages;
    here the places are summed, so that the value does not depend on the grid).
    """
    return (attention_map(student, p) - attention_map(teacher.detach(), p)).pow(2).sum(1).mean()


@METHODS.register_module()
class AT(nn.Module):
    """Attention transfer between pairs of taps, the sum over them; channel counts need not agree.

    Args:
        student, teacher: a tap of a map ``[B, *, H, W]``, or lists of equally many, shallow to deep.
        p: power of the attention maps, above 0.
        align: whose grid is kept where they differ, 'student' or 'teacher'.

    Raises:
        UserError: for lists of unequal length or none, and options out of range.
    """

    def __init__(
        self,
        student=('backbone[1]', 'backbone[2]', 'backbone[3]'),
        teacher=('backbone[1]', 'backbone[2]', 'backbone[3]'),
        p=2,
        loss_weight=1.0,
        align='student',
    ):
        super().__init__()
        self.student_taps, self.teacher_taps = ([x] if isinstance(x, str) else list(x) for x in (student, teacher))
        check_pairs(self)
        check_align(self, align)
        expect(p > 0, 'AT', 'p', p, 'a number above 0')
        self.p, self.loss_weight, self.align = p, loss_weight, align

    def forward(self, student, teacher, batch):
        terms = [at_loss(*align_size(student[s], teacher[t], self.align), self.p) for s, t in zip(self.student_taps, self.teacher_taps)]
        return dict(loss_at=self.loss_weight * sum(terms))


def check_pairs(method):
    """Raises UserError unless the two lists of taps are equally long, and not empty."""
    expect(method.student_taps, type(method).__name__, 'student', method.student_taps, 'one tap or more')
    if len(method.student_taps) != len(method.teacher_taps):
        raise UserError(
            f'{type(method).__name__}: {len(method.student_taps)} student taps face {len(method.teacher_taps)} teacher taps; give pairs.'
        )
