"""Feature distillation wired by config."""

from ..distill.losses import at_loss, cosine_loss, cwd_loss, kl_loss, mse_loss
from ..distill.method import PairMethod
from ..errors import choice, expect
from ..registry import METHODS
from ..schema import FLAG, POSITIVE, check_value, name_of, optional

__all__ = ['LOSSES', 'FeatureKD', 'cosine_loss', 'mse_loss', 'standardize']
LOSSES = dict(mse=mse_loss, cos=cosine_loss, cwd=cwd_loss, kl=kl_loss, at=at_loss)
TEMPERED = ('cwd', 'kl')


@METHODS.register_module()
class FeatureKD(PairMethod):
    """Any loss of ``LOSSES`` between two taps, after a 1x1 convolution where channels differ and a resize where grids do.

    Args:
        student: taps of maps ``[B, C, H, W]`` or tokens ``[B, N, C]`` (row by row, a grid of the shape of the image that this network
            sees), or lists of equally many.
        teacher: the same of the teacher.
        loss: 'mse', 'cos', 'cwd', 'kl' or 'at'.
        align: whose grid is kept, 'student' or 'teacher'.
        normalize: compare maps standardised over batch and space, per channel, so that a scale does not set the weight.
        adapter: 'auto' (a convolution only where channels differ) or 'always'.
        tau: temperature of 'cwd' and 'kl', which no other loss takes; None keeps their default.

    Raises:
        UserError: for an unknown or contradicting option, and for tokens that fill no grid of the image's shape.
    """

    rules = dict(normalize=FLAG, adapter=name_of(('auto', 'always')), tau=optional(POSITIVE))

    def __init__(self, student, teacher, loss='mse', loss_weight=1.0, align='student', normalize=False, adapter='auto', tau=None):
        super().__init__(student, teacher, loss_weight, align)
        owner = type(self).__name__
        self.between, self.loss_key = LOSSES[choice(owner, 'loss', loss, LOSSES)], f'loss_{loss}'
        check_value(owner, 'adapter', adapter, self.rules['adapter'])
        self.adapts = 'never' if loss == 'at' else adapter
        if tau is not None:
            expect(loss in TEMPERED, owner, 'tau', tau, f'none with loss={loss!r}, which has no temperature')
        self.keep(normalize=normalize, tau=tau)

    def loss(self, student, teacher):
        if self.normalize:
            student, teacher = standardize(student), standardize(teacher)
        return self.between(student, teacher, **({} if self.tau is None else dict(tau=self.tau)))


def standardize(x, eps=1e-5):
    """Zero mean and unit variance over batch and space, per channel, of ``[B, C, H, W]``."""
    x = x.float()
    var, mean = x.var((0, 2, 3), unbiased=False, keepdim=True), x.mean((0, 2, 3), keepdim=True)
    return (x - mean) / (var + eps).sqrt()
