"""Channel-wise distillation."""

from ..distill.losses import cwd_loss
from ..distill.method import PairMethod
from ..registry import METHODS
from ..schema import POSITIVE

__all__ = ['CWD', 'cwd_loss']


@METHODS.register_module()
class CWD(PairMethod):
    """Channel-wise distillation of logits (default) or features; a 1x1 convolution adapts channels that differ.

    Args:
        student: taps of maps ``[B, C, H, W]``, or lists of equally many.
        teacher: the same of the teacher.
        tau: temperature of the softmax over the places, above 0.
        align: whose grid is kept where they differ, 'student' or 'teacher'.

    Raises:
        UserError: for options out of range.
    """

    loss_key, adapts, rules = 'loss_cwd', 'auto', dict(tau=POSITIVE)

    def __init__(self, student='decode_head.conv_seg', teacher='decode_head.conv_seg', tau=4.0, loss_weight=3.0, align='student'):
        super().__init__(student, teacher, loss_weight, align)
        self.keep(tau=tau)

    def loss(self, student, teacher):
        return cwd_loss(student, teacher, self.tau)
