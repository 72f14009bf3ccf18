"""Masked generative distillation."""

import torch
import torch.nn.functional as F
from torch import nn

from ..align import align_size, channel_adapter, check_align
from ..errors import expect
from ..registry import METHODS


def mgd_loss(generated, teacher):
    """Squared difference of maps ``[B, C, H, W]``, summed, over the batch size. Yang et al., ECCV 2022, eq. 4."""
    return F.mse_loss(generated.float(), teacher.detach().float(), reduction='sum') / teacher.shape[0]


@METHODS.register_module()
class MGD(nn.Module):
    """The student's masked map must generate the teacher's whole map through two 3x3 convolutions.

    Yang et al., "Masked Generative Distillation", ECCV 2022. ``mask_ratio`` is the share of places set to zero (the same for all
    channels; 0.75 for segmentation in the source), drawn from the global torch stream; ``loss_weight`` is the source's alpha (2e-5).
    """

    def __init__(self, student, teacher, mask_ratio=0.75, loss_weight=2e-5, align='teacher'):
        super().__init__()
        check_align(self, align)
        expect(0 <= mask_ratio < 1, 'MGD', 'mask_ratio', mask_ratio, 'a share from 0 to below 1')
        self.student_taps, self.teacher_taps = [student], [teacher]
        self.mask_ratio, self.loss_weight, self.align = mask_ratio, loss_weight, align

    def setup(self, student_shapes, teacher_shapes):
        channels = teacher_shapes[self.teacher_taps[0]][1]
        self.adapter = channel_adapter(student_shapes[self.student_taps[0]][1], channels)
        self.generator = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, student, teacher, batch):
        s, t = align_size(self.adapter(student[self.student_taps[0]]), teacher[self.teacher_taps[0]], self.align)
        kept = torch.rand(s.shape[0], 1, *s.shape[2:], device=s.device) >= self.mask_ratio
        return dict(loss_mgd=self.loss_weight * mgd_loss(self.generator(s * kept), t))
