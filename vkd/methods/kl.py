"""Pixel-wise distillation of logits."""

import torch.nn.functional as F
from torch import nn

from ..align import align_size, check_align
from ..errors import UserError, expect
from ..registry import METHODS


def kl_loss(student, teacher, tau=1.0):
    """Mean over pixels of ``tau^2 * KL(softmax(teacher / tau) || softmax(student / tau))``.

    Args:
        student, teacher: logits ``[B, K, H, W]``, any range. The teacher's gradient is not followed.
        tau: temperature.

    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; per pixel as in Liu et al., CVPR 2019, eq. 2.
    """
    p = F.log_softmax(teacher.detach().float() / tau, dim=1)
    q = F.log_softmax(student.float() / tau, dim=1)
    return (p.exp() * (p - q)).sum(1).mean() * tau**2


@METHODS.register_module()
class KL(nn.Module):
    """Pixel-wise KL divergence between class scores; grids may differ, classes may not.

    Args:
        student, teacher: taps of logits ``[B, K, H, W]``.
        tau: temperature, above 0.
        align: whose grid is kept where they differ, 'student' or 'teacher'.

    Raises:
        UserError: for other numbers of classes, and options out of range.
    """

    def __init__(self, student='decode_head.conv_seg', teacher='decode_head.conv_seg', tau=1.0, loss_weight=1.0, align='student'):
        super().__init__()
        check_align(self, align)
        expect(tau > 0, 'KL', 'tau', tau, 'a number above 0')
        self.student_taps, self.teacher_taps = [student], [teacher]
        self.tau, self.loss_weight, self.align = tau, loss_weight, align

    def setup(self, student_shapes, teacher_shapes):
        check_classes(self, student_shapes, teacher_shapes)

    def forward(self, student, teacher, batch):
        s, t = align_size(student[self.student_taps[0]], teacher[self.teacher_taps[0]], self.align)
        return dict(loss_kl=self.loss_weight * kl_loss(s, t, self.tau))


def check_classes(method, student_shapes, teacher_shapes):
    """Raises UserError unless both logits have the same number of classes."""
    (s_tap, s), (t_tap, t) = *student_shapes.items(), *teacher_shapes.items()
    if s[1] != t[1]:
        raise UserError(
            f'{type(method).__name__}: student tap {s_tap!r} has {s[1]} channels and teacher tap {t_tap!r} has {t[1]}; '
            'logits need the same classes: tap both classifiers, or use FeatureKD.'
        )
