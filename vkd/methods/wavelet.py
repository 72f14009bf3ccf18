"""Wavelet distillation: the fine detail of the teacher's image alone."""

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import expect
from ..registry import METHODS
from .output import check_images


def haar(x):
    """One level of the orthonormal Haar transform of ``[B, C, H, W]``: ``(low [B, C, h, w], high [B, 3, C, h, w])``, h = ceil(H / 2); an
    odd side repeats its last row or column.

    ``high`` holds the differences along the width, along the height, and along both.
    """
    h, w = x.shape[-2:]
    if h % 2 or w % 2:
        x = F.pad(x, (0, w % 2, 0, h % 2), mode='replicate')
    a, b, c, d = x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]
    return (a + b + c + d) / 2, torch.stack([a - b + c - d, a + b - c - d, a - b - c + d], 1) / 2


def wavelet_loss(student, teacher, levels=4):
    """Sum over levels of the mean absolute difference of the high bands of two images ``[B, C, H, W]``; the low band that remains is left
    out.

    Zhang et al., "Wavelet Knowledge Distillation: Towards Efficient Image-to-Image Translation", CVPR 2022, which distils the high bands
    only; Haar and four levels are its published recipe.
    """
    student, teacher, total = student.float(), teacher.detach().float(), 0
    for _ in range(levels):
        (student, s), (teacher, t) = haar(student), haar(teacher)
        total = total + F.l1_loss(s, t)
    return total


@METHODS.register_module()
class WaveletKD(nn.Module):
    """The high wavelet bands of the student's image against the teacher's, of one shape.

    Args:
        student, teacher: taps of the images. levels: of the transform, each on half the grid of the one before.
    """

    def __init__(self, student='backbone', teacher='backbone', levels=4, loss_weight=1.0):
        super().__init__()
        expect(levels >= 1 and levels == int(levels), 'WaveletKD', 'levels', levels, 'a whole number from 1')
        self.student_taps, self.teacher_taps, self.levels, self.loss_weight = [student], [teacher], levels, loss_weight

    def setup(self, student_shapes, teacher_shapes):
        check_images(self, student_shapes, teacher_shapes)

    def forward(self, student, teacher, batch):
        return dict(loss_wavelet=self.loss_weight * wavelet_loss(student[self.student_taps[0]], teacher[self.teacher_taps[0]], self.levels))
