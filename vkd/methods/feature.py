"""Feature distillation wired by config: FeatureKD, and FitNet as its named special case."""

import torch.nn.functional as F
from torch import nn

from ..align import align_size, channel_adapter, check_align, token_grid, tokens_to_map
from ..errors import choice, expect
from ..registry import METHODS
from .at import at_loss
from .cwd import cwd_loss
from .kl import kl_loss


def mse_loss(student, teacher):
    """Mean squared difference of two tensors of one shape.

    Romero et al., "FitNets", ICLR 2015, eq. 3 (mean, without the factor 1/2).
    """
    return F.mse_loss(student.float(), teacher.detach().float())


def cosine_loss(student, teacher):
    """``1 - cos`` of the channel vectors, mean over the places of ``[B, C, H, W]``."""
    return (1 - F.cosine_similarity(student.float(), teacher.detach().float(), dim=1)).mean()


LOSSES = dict(mse=mse_loss, cos=cosine_loss, cwd=cwd_loss, kl=kl_loss, at=at_loss)
TEMPERED = ('cwd', 'kl')


@METHODS.register_module()
class FeatureKD(nn.Module):
    """Any loss of ``LOSSES`` between two taps, after a 1x1 convolution where channels differ and a resize where grids do.

    Args:
        student, teacher: taps of maps ``[B, C, H, W]`` or tokens ``[B, N, C]`` (row by row, a grid of the shape of
            the image that this network sees).
        loss: 'mse', 'cos', 'cwd', 'kl' or 'at'.
        align: whose grid is kept, 'student' or 'teacher'.
        normalize: compare maps standardised over batch and space, per channel, so that a scale does not set the weight.
        adapter: 'auto' (a convolution only where channels differ) or 'always'.
        tau: temperature of 'cwd' and 'kl', which no other loss takes; None keeps their default.

    Raises:
        UserError: for an unknown or contradicting option, and for tokens that fill no grid of the image's shape.
    """

    def __init__(self, student, teacher, loss='mse', loss_weight=1.0, align='student', normalize=False, adapter='auto', tau=None):
        super().__init__()
        owner = type(self).__name__
        choice(owner, 'loss', loss, LOSSES)
        check_align(self, align)
        choice(owner, 'adapter', adapter, ('auto', 'always'))
        if tau is not None:
            expect(loss in TEMPERED, owner, 'tau', tau, f'none with loss={loss!r}, which has no temperature')
            expect(tau > 0, owner, 'tau', tau, 'a number above 0')
        self.student_taps, self.teacher_taps = [student], [teacher]
        self.loss, self.loss_weight, self.align, self.normalize = loss, loss_weight, align, normalize
        self.adapt, self.options = adapter, {} if tau is None else dict(tau=tau)

    def setup(self, student_shapes, teacher_shapes):
        s, t = student_shapes[self.student_taps[0]], teacher_shapes[self.teacher_taps[0]]
        channels = [shape[1] if len(shape) == 4 else shape[-1] for shape in (s, t)]
        self.adapter = nn.Identity() if self.loss == 'at' else channel_adapter(*channels, always=self.adapt == 'always')

    def forward(self, student, teacher, batch):
        taps = student[self.student_taps[0]], teacher[self.teacher_taps[0]]
        s, t = (x if x.dim() == 4 else tokens_to_map(x, token_grid(x.shape[1], size)) for x, size in zip(taps, batch['sizes']))
        s, t = align_size(self.adapter(s), t, self.align)
        if self.normalize:
            s, t = standardize(s), standardize(t)
        return {f'loss_{self.loss}': self.loss_weight * LOSSES[self.loss](s, t, **self.options)}


def standardize(x, eps=1e-5):
    """Zero mean and unit variance over batch and space, per channel, of ``[B, C, H, W]``."""
    x = x.float()
    var, mean = x.var((0, 2, 3), unbiased=False, keepdim=True), x.mean((0, 2, 3), keepdim=True)
    return (x - mean) / (var + eps).sqrt()


@METHODS.register_module()
class FitNet(FeatureKD):
    """Hints of Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015: a regressor and the mean squared difference."""

    def __init__(self, student, teacher, loss_weight=1.0, align='student'):
        super().__init__(student, teacher, 'mse', loss_weight, align, adapter='always')
