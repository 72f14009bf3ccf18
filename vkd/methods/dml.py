"""Deep mutual learning."""

from ..distill.peers import PeerMethod, kl_map, masked_mean
from ..registry import METHODS


def dml_loss(learner, sources, valid, tau=1.0):
    """``tau^2`` times the mean over ``sources`` of ``KL(source || learner)``, mean over the places of ``valid [B, H, W]``.

    Args: logits ``[B, K, H, W]``, and a list of such. Zhang et al., "Deep Mutual Learning", CVPR 2018; per pixel here.
    """
    return sum(tau**2 * masked_mean(kl_map(learner, source, tau), valid) for source in sources) / len(sources)


@METHODS.register_module()
class DML(PeerMethod):
    """Every peer learns the mean of what the others say, wherever there is a label; all at once, where the paper alternates.

    Args:
        logits: tap of the class scores ``[B, K, H, W]``, or ``{role: tap}``.
        tau: temperature, above 0.
        resolution: 'label', or 'logit' (the smallest of the logits' grids).

    Raises:
        UserError: for peers with other classes or ignored labels, and options out of range.
    """

    def __init__(self, logits='decode_head.conv_seg', tau=1.0, loss_weight=1.0, resolution='label'):
        super().__init__()
        self.keep(logits=logits, tau=tau, loss_weight=loss_weight, resolution=resolution)

    def forward(self, peers, batch):
        logits, _, valid = self.scores(peers, batch)
        return {
            f'loss_dml_{a}': self.loss_weight * dml_loss(logits[a], [logits[y] for x, y in self.pairs if x == a], valid, self.tau)
            for a in self.learners
        }
