"""Channel-wise distillation."""

import torch.nn.functional as F
from torch import nn

from ..align import align_size, channel_adapter, check_align
from ..errors import expect
from ..registry import METHODS


def cwd_loss(student, teacher, tau=4.0):
    """``tau^2 / C * sum_c KL(softmax_space(teacher_c / tau) || softmax_space(student_c / tau))``, mean over the batch.

    Args:
        student, teacher: maps ``[B, C, H, W]``.
        tau: temperature of the softmax over the H*W places.

    Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction", ICCV 2021, eq. 4.
    """
    p = F.log_softmax(teacher.detach().float().flatten(2) / tau, dim=2)
    q = F.log_softmax(student.float().flatten(2) / tau, dim=2)
    return (p.exp() * (p - q)).sum(2).mean() * tau**2


@METHODS.register_module()
class CWD(nn.Module):
    """Channel-wise distillation of logits (default) or features; a 1x1 convolution adapts channels that differ.

    Args:
        student, teacher: taps of maps ``[B, C, H, W]``.
        tau: temperature of the softmax over the places, above 0.
        align: whose grid is kept where they differ, 'student' or 'teacher'.

    Raises:
        UserError: for options out of range.
    """

    def __init__(self, student='decode_head.conv_seg', teacher='decode_head.conv_seg', tau=4.0, loss_weight=3.0, align='student'):
        super().__init__()
        check_align(self, align)
        expect(tau > 0, 'CWD', 'tau', tau, 'a number above 0')
        self.student_taps, self.teacher_taps = [student], [teacher]
        self.tau, self.loss_weight, self.align = tau, loss_weight, align

    def setup(self, student_shapes, teacher_shapes):
        self.adapter = channel_adapter(student_shapes[self.student_taps[0]][1], teacher_shapes[self.teacher_taps[0]][1])

    def forward(self, student, teacher, batch):
        s, t = align_size(self.adapter(student[self.student_taps[0]]), teacher[self.teacher_taps[0]], self.align)
        return dict(loss_cwd=self.loss_weight * cwd_loss(s, t, self.tau))
