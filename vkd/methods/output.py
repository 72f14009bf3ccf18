"""Distillation of images: what a restorer gives is compared with what its teacher gives."""

import torch.nn.functional as F
from torch import nn

from ..errors import UserError, choice
from ..registry import METHODS
from .feature import mse_loss


def l1_output_loss(student, teacher):
    """Mean absolute difference of two images ``[B, C, H, W]``. He et al., "FAKD", ICIP 2020, the teacher's supervision."""
    return F.l1_loss(student.float(), teacher.detach().float())


OUTPUT_LOSSES = dict(l1=l1_output_loss, mse=mse_loss)


@METHODS.register_module()
class OutputKD(nn.Module):
    """The student's image against the teacher's, of one shape; with a restorer both are RGB in 0 to 1, whatever the networks work on
    inside.

    Args:
        student, teacher: taps of the images. loss: 'l1' or 'mse'.
    """

    def __init__(self, student='backbone', teacher='backbone', loss='l1', loss_weight=1.0):
        super().__init__()
        choice('OutputKD', 'loss', loss, OUTPUT_LOSSES)
        self.student_taps, self.teacher_taps = [student], [teacher]
        self.loss, self.loss_weight = loss, loss_weight

    def setup(self, student_shapes, teacher_shapes):
        check_images(self, student_shapes, teacher_shapes)

    def forward(self, student, teacher, batch):
        return dict(loss_output=self.loss_weight * OUTPUT_LOSSES[self.loss](student[self.student_taps[0]], teacher[self.teacher_taps[0]]))


def check_images(method, student_shapes, teacher_shapes):
    """Raises UserError unless the two taps give images of one shape."""
    (s_tap, s), (t_tap, t) = *student_shapes.items(), *teacher_shapes.items()
    if s != t:
        raise UserError(
            f'{type(method).__name__}: student tap {s_tap!r} gives {"x".join(map(str, s[1:]))} and teacher tap {t_tap!r} '
            f'{"x".join(map(str, t[1:]))} for one input; '
            'give networks of the same scale, and tap their images.'
        )
