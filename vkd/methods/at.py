"""Attention transfer."""

from ..distill.losses import at_loss, attention_map
from ..distill.method import PairMethod
from ..registry import METHODS
from ..schema import POSITIVE

__all__ = ['AT', 'at_loss', 'attention_map']
STAGES = ('backbone[1]', 'backbone[2]', 'backbone[3]')


@METHODS.register_module()
class AT(PairMethod):
    """Attention transfer between pairs of taps, the sum over them; channel counts need not agree.

    Args:
        student: a tap of a map ``[B, *, H, W]``, or lists of equally many, shallow to deep.
        teacher: the same of the teacher.
        p: power of the attention maps, above 0.
        align: whose grid is kept where they differ, 'student' or 'teacher'.

    Raises:
        UserError: for lists of unequal length or none, and options out of range.
    """

    loss_key, rules = 'loss_at', dict(p=POSITIVE)

    def __init__(self, student=STAGES, teacher=STAGES, p=2, loss_weight=1.0, align='student'):
        super().__init__(student, teacher, loss_weight, align)
        self.keep(p=p)

    def loss(self, student, teacher):
        return at_loss(student, teacher, self.p)
