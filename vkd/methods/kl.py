"""Pixel-wise distillation of logits."""

from ..distill.losses import kl_loss
from ..distill.method import PairMethod
from ..registry import METHODS
from ..schema import POSITIVE

__all__ = ['KL', 'kl_loss']


@METHODS.register_module()
class KL(PairMethod):
    """Pixel-wise KL divergence between class scores; grids may differ, classes may not.

    Args:
        student: taps of logits ``[B, K, H, W]``, or lists of equally many.
        teacher: the same of the teacher.
        tau: temperature, above 0.
        align: whose grid is kept where they differ, 'student' or 'teacher'.

    Raises:
        UserError: for other numbers of classes, and options out of range.
    """

    loss_key, equal, rules = 'loss_kl', 'classes', dict(tau=POSITIVE)

    def __init__(self, student='decode_head.conv_seg', teacher='decode_head.conv_seg', tau=1.0, loss_weight=1.0, align='student'):
        super().__init__(student, teacher, loss_weight, align)
        self.keep(tau=tau)

    def loss(self, student, teacher):
        return kl_loss(student, teacher, self.tau)
