"""Masked generative distillation."""

import torch
import torch.nn.functional as F
from torch import nn

from ..distill.align import channels_of
from ..distill.method import PairMethod
from ..registry import METHODS
from ..schema import SHARE_BELOW_1


def mgd_loss(generated, teacher):
    """Squared difference of maps ``[B, C, H, W]``, summed, over the batch size. Yang et al., ECCV 2022, eq. 4."""
    return F.mse_loss(generated.float(), teacher.detach().float(), reduction='sum') / teacher.shape[0]


@METHODS.register_module()
class MGD(PairMethod):
    """The student's masked map must generate the teacher's whole map through two 3x3 convolutions.

    Yang et al., "Masked Generative Distillation", ECCV 2022. ``mask_ratio`` is the share of places set to zero (the same for all
    channels; 0.75 for segmentation in the source), drawn from the global torch stream; ``loss_weight`` is the source's alpha (2e-5).
    """

    loss_key, adapts, pairs, rules = 'loss_mgd', 'auto', 'one', dict(mask_ratio=SHARE_BELOW_1)

    def __init__(self, student, teacher, mask_ratio=0.75, loss_weight=2e-5, align='teacher'):
        super().__init__(student, teacher, loss_weight, align)
        self.keep(mask_ratio=mask_ratio)

    def setup(self, student_shapes, teacher_shapes):
        super().setup(student_shapes, teacher_shapes)
        channels = channels_of(teacher_shapes[self.teacher_taps[0]])
        self.generator = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1))

    def loss(self, student, teacher):
        kept = torch.rand(student.shape[0], 1, *student.shape[2:], device=student.device) >= self.mask_ratio
        return mgd_loss(self.generator(student * kept), teacher)
