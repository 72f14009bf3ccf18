"""Wavelet distillation: the fine detail of the teacher's image alone."""

import torch
import torch.nn.functional as F

from ..distill.method import PairMethod
from ..registry import METHODS
from ..schema import COUNT


def haar(x):
    """One level of the orthonormal Haar transform of ``[B, C, H, W]``: ``(low [B, C, h, w], high [B, 3, C, h, w])``, h = ceil(H / 2), an
    odd side repeated; ``high``: differences along the width, the height, and both.
    """
    h, w = x.shape[-2:]
    if h % 2 or w % 2:
        x = F.pad(x, (0, w % 2, 0, h % 2), mode='replicate')
    a, b, c, d = x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]
    return (a + b + c + d) / 2, torch.stack([a - b + c - d, a + b - c - d, a - b - c + d], 1) / 2


def wavelet_loss(student, teacher, levels=4):
    """Sum over levels of the mean absolute difference of the high bands of two images ``[B, C, H, W]``; the low band is left out, as in
    Zhang et al., "Wavelet Knowledge Distillation", CVPR 2022. Haar and four levels are its recipe.
    """
    student, teacher, total = student.float(), teacher.detach().float(), 0
    for _ in range(levels):
        (student, s), (teacher, t) = haar(student), haar(teacher)
        total = total + F.l1_loss(s, t)
    return total


@METHODS.register_module()
class WaveletKD(PairMethod):
    """High wavelet bands of two images of one shape, at the taps ``student``, ``teacher``; each of ``levels`` is on half the grid before."""

    loss_key, equal, rules = 'loss_wavelet', 'shapes', dict(levels=COUNT)

    def __init__(self, student='backbone', teacher='backbone', levels=4, loss_weight=1.0):
        super().__init__(student, teacher, loss_weight)
        self.keep(levels=levels)

    def loss(self, student, teacher):
        return wavelet_loss(student, teacher, self.levels)
