"""Distillation of images: what a restorer gives is compared with what its teacher gives."""

import torch.nn.functional as F

from ..distill.losses import mse_loss
from ..distill.method import PairMethod
from ..errors import choice
from ..registry import METHODS


def l1_output_loss(student, teacher):
    """Mean absolute difference of two images ``[B, C, H, W]``. He et al., "FAKD", ICIP 2020, the teacher's supervision."""
    return F.l1_loss(student.float(), teacher.detach().float())


OUTPUT_LOSSES = dict(l1=l1_output_loss, mse=mse_loss)


@METHODS.register_module()
class OutputKD(PairMethod):
    """The student's image against the teacher's, of one shape; with a restorer both are RGB in 0 to 1, whatever the networks work on
    inside.

    Args:
        student: taps of the images, or lists of equally many.
        teacher: the same of the teacher.
        loss: 'l1' or 'mse'.
    """

    loss_key, equal = 'loss_output', 'shapes'

    def __init__(self, student='backbone', teacher='backbone', loss='l1', loss_weight=1.0):
        super().__init__(student, teacher, loss_weight)
        self.between = OUTPUT_LOSSES[choice('OutputKD', 'loss', loss, OUTPUT_LOSSES)]

    def loss(self, student, teacher):
        return self.between(student, teacher)
