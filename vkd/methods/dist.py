"""DIST, in its form for dense prediction."""

from ..distill.method import PairMethod
from ..registry import METHODS
from ..schema import POSITIVE, WEIGHT


def pearson(a, b, dim):
    """Pearson correlation of ``a`` and ``b`` along ``dim``."""
    a, b = a - a.mean(dim, keepdim=True), b - b.mean(dim, keepdim=True)
    return (a * b).sum(dim) / (a.norm(dim=dim) * b.norm(dim=dim) + 1e-8)


def dist_loss(student, teacher, beta=1.0, gamma=1.0, tau=1.0):
    """``tau^2 * (beta * (1 - inter) + gamma * (1 - intra))`` of class probabilities at every pixel, of logits ``[B, K, H, W]``.

    ``inter``: correlation over the classes of one pixel, mean over pixels. ``intra``: over all pixels of the batch of one class, mean over
    classes. Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, eq. 8 to 10; pixels are the samples.
    """
    s, t = ((x.float() / tau).softmax(1).transpose(1, 3).reshape(-1, x.shape[1]) for x in (student, teacher.detach()))
    inter, intra = 1 - pearson(s, t, 1).mean(), 1 - pearson(s, t, 0).mean()
    return tau**2 * (beta * inter + gamma * intra)


@METHODS.register_module()
class DIST(PairMethod):
    """Inter- and intra-class relations of the logits; grids may differ, classes may not.

    Args:
        student: taps of logits ``[B, K, H, W]``, or lists of them; ``teacher`` likewise.
        beta: weight of the relations between the classes of a pixel; ``gamma``: between the pixels of a class; not both are 0.
        tau: temperature, above 0.
    """

    loss_key, equal, rules = 'loss_dist', 'classes', dict(beta=WEIGHT, gamma=WEIGHT, tau=POSITIVE)

    def __init__(
        self, student='decode_head.conv_seg', teacher='decode_head.conv_seg', beta=1.0, gamma=1.0, tau=1.0, loss_weight=1.0, align='student'
    ):
        super().__init__(student, teacher, loss_weight, align)
        self.keep(beta=beta, gamma=gamma, tau=tau)
        self.some_weight('beta', 'gamma')

    def loss(self, student, teacher):
        return dist_loss(student, teacher, self.beta, self.gamma, self.tau)
