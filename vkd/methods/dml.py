"""Deep mutual learning."""
from torch import nn

from ..peers import by_role, check_equal_classes, ignored_label, kl_map, labels_of, masked_mean, on_one_grid, pairs
from ..registry import METHODS


def dml_loss(learner, sources, valid, tau=1.0):
    """``tau^2`` times the mean over ``sources`` of ``KL(source || learner)``, mean over the places of ``valid [B, H, W]``.

    Args: logits ``[B, K, H, W]``, and a list of such. Zhang et al., "Deep Mutual Learning", CVPR 2018; per pixel here.
    """
    return sum(tau ** 2 * masked_mean(kl_map(learner, source, tau), valid) for source in sources) / len(sources)


@METHODS.register_module()
class DML(nn.Module):
    """Every peer learns the mean of what the others say, wherever there is a label; all at once, where the paper alternates.

    Args:
        logits: tap of the class scores, or ``{role: tap}``. tau: temperature. resolution: 'label', or 'logit' (the smallest of the logits' grids).
    """

    mutual = True

    def __init__(self, logits='decode_head.conv_seg', tau=1.0, loss_weight=1.0, resolution='label'):
        super().__init__()
        self.logits, self.tau, self.loss_weight, self.resolution = logits, tau, loss_weight, resolution

    def taps(self, role):
        return [by_role(self.logits, role, 'logits', type(self).__name__)]

    def find_taps(self, networks):
        self.ignore_index = ignored_label(networks, type(self).__name__)

    def setup(self, shapes, learners):
        check_equal_classes({r: next(iter(own.values()))[1] for r, own in shapes.items()}, type(self).__name__)
        self.learners, self.pairs = learners, pairs(list(shapes), learners)

    def forward(self, peers, batch):
        logits, label = on_one_grid({r: next(iter(own.values())) for r, own in peers.items()}, labels_of(batch), self.resolution)
        valid = label != self.ignore_index
        return {f'loss_dml_{a}': self.loss_weight * dml_loss(logits[a], [logits[y] for x, y in self.pairs if x == a], valid, self.tau) for a in self.learners}
