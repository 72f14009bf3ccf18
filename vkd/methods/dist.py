"""DIST, in its form for dense prediction."""

from torch import nn

from ..align import align_size, check_align
from ..errors import expect
from ..registry import METHODS
from .kl import check_classes


def pearson(a, b, dim):
    """Pearson correlation of ``a`` and ``b`` along ``dim``."""
    a, b = a - a.mean(dim, keepdim=True), b - b.mean(dim, keepdim=True)
    return (a * b).sum(dim) / (a.norm(dim=dim) * b.norm(dim=dim) + 1e-8)


def dist_loss(student, teacher, beta=1.0, gamma=1.0, tau=1.0):
    """``tau^2 * (beta * (1 - inter) + gamma * (1 - intra))`` of class probabilities at every pixel.

    ``inter``: correlation over the classes of one pixel, mean over pixels. ``intra``: correlation over all pixels of the batch
    of one class, mean over classes.

    Args:
        student, teacher: logits ``[B, K, H, W]``.

    Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, eq. 8 to 10; pixels are the samples.
    """
    classes = student.shape[1]
    s, t = ((x.float() / tau).softmax(1).transpose(1, 3).reshape(-1, classes) for x in (student, teacher.detach()))
    inter, intra = 1 - pearson(s, t, 1).mean(), 1 - pearson(s, t, 0).mean()
    return tau**2 * (beta * inter + gamma * intra)


@METHODS.register_module()
class DIST(nn.Module):
    """Inter- and intra-class relations of the logits; grids may differ, classes may not.

    Args:
        student, teacher: taps of logits ``[B, K, H, W]``.
        beta, gamma: weights of the relations between the classes of a pixel, and between the pixels of a class.
        tau: temperature, above 0.
        align: whose grid is kept where they differ, 'student' or 'teacher'.

    Raises:
        UserError: for other numbers of classes, and options out of range.
    """

    def __init__(
        self, student='decode_head.conv_seg', teacher='decode_head.conv_seg', beta=1.0, gamma=1.0, tau=1.0, loss_weight=1.0, align='student'
    ):
        super().__init__()
        check_align(self, align)
        expect(tau > 0, 'DIST', 'tau', tau, 'a number above 0')
        self.student_taps, self.teacher_taps = [student], [teacher]
        self.beta, self.gamma, self.tau, self.loss_weight, self.align = beta, gamma, tau, loss_weight, align

    def setup(self, student_shapes, teacher_shapes):
        check_classes(self, student_shapes, teacher_shapes)

    def forward(self, student, teacher, batch):
        s, t = align_size(student[self.student_taps[0]], teacher[self.teacher_taps[0]], self.align)
        return dict(loss_dist=self.loss_weight * dist_loss(s, t, self.beta, self.gamma, self.tau))
