"""Collaborative learning by an ensemble of the peers' logits."""

import torch
import torch.nn.functional as F

from ..distill.peers import PeerMethod, kl_map, masked_mean
from ..registry import METHODS
from ..schema import SHARE_BELOW_1, name_of

# Guo et al., "Online Knowledge Distillation via Collaborative Learning", CVPR 2020, section 3: images there, pixels here.
# z: logits of M peers, [M, B, K, H, W]; label [B, H, W] in 0 .. K-1 (any valid class stands where the label is ignored)


def naive(z, label):
    """At each pixel the logits of the peer with the lowest cross entropy."""
    cost = torch.stack([F.cross_entropy(x, label, reduction='none') for x in z])
    best = cost.argmin(0)[None, :, None].expand(1, *z.shape[1:])
    return z.gather(0, best)[0]


def linear(z, label, steps=6, halvings=12):
    """At each pixel the convex combination of the peers' logits with the lowest cross entropy (a convex problem; Frank-Wolfe with an exact
    line search, exact at once for two peers).
    """

    def slope(at, along):  # of the cross entropy of ``at`` in the direction ``along``
        return (at.softmax(1) * along).sum(1) - along.gather(1, label[:, None])[:, 0]

    now = naive(z, label)
    for _ in range(1 if len(z) == 2 else steps):
        slopes = torch.stack([slope(now, x - now) for x in z])
        towards = z.gather(0, slopes.argmin(0)[None, :, None].expand(1, *z.shape[1:]))[0] - now
        low, high = torch.zeros_like(label, dtype=z.dtype), torch.ones_like(label, dtype=z.dtype)
        for _ in range(halvings):
            middle = (low + high) / 2
            rising = slope(now + middle[:, None] * towards, towards) > 0
            low, high = torch.where(rising, low, middle), torch.where(rising, middle, high)
        step = torch.where(slope(now + towards, towards) <= 0, torch.ones_like(low), low)
        now = now + step[:, None] * towards
    return now


def min_logit(z, label):
    """Each peer's logits less that of the true class; of those the least at each class and pixel, so that no peer's cross entropy is lower."""
    index = label[None, :, None].expand(len(z), *label.shape[:1], 1, *label.shape[1:])
    return (z - z.gather(2, index)).amin(0)


def general(z, weights):
    """The combination by ``weights [M]``, one for all pixels."""
    return torch.einsum('m,mbkhw->bkhw', weights.to(z), z)


def error_products(z, label, valid):
    """``C [M, M]``: mean over the valid pixels of the products of two peers' errors, ``p - onehot``."""
    error = z.softmax(2) - F.one_hot(label, z.shape[2]).permute(0, 3, 1, 2)
    return torch.einsum('mbkhw,nbkhw->mn', error * valid[None, :, None], error) / valid.sum().clamp(min=1)


def general_weights(products):
    """``[M]`` weights that sum to one and minimise ``w C w``: the row sums of the inverse of ``C`` over its sum."""
    m = len(products)
    ridge = 1e-4 * products.diagonal().mean().clamp(min=1e-8) * torch.eye(m, device=products.device)
    rows = torch.linalg.solve(products.double() + ridge.double(), torch.ones(m, dtype=torch.float64, device=products.device))
    return (rows / rows.sum()).float()


MODES = ('naive', 'linear', 'min_logit', 'general')


@METHODS.register_module()
class KDCL(PeerMethod):
    """Every peer learns from one ensemble of all.

    Args:
        logits: tap of the class scores ``[B, K, H, W]``, or ``{role: tap}``.
        mode: 'naive', 'linear', 'min_logit' (the paper's best, the default) or 'general'.
        tau: temperature, above 0.
        resolution: as in DML.
        momentum: 'general' only: the products of errors are a moving average over training batches, each process its own until DDP shares
            its buffers; the paper measures them on validation images after each epoch. From 0 to below 1.

    Raises:
        UserError: for peers with other classes or ignored labels, and options out of range.
    """

    rules = dict(mode=name_of(MODES), momentum=SHARE_BELOW_1)

    def __init__(self, logits='decode_head.conv_seg', mode='min_logit', tau=1.0, loss_weight=1.0, resolution='label', momentum=0.9):
        super().__init__()
        self.keep(logits=logits, mode=mode, tau=tau, loss_weight=loss_weight, resolution=resolution, momentum=momentum)

    def setup(self, shapes, learners):
        super().setup(shapes, learners)
        if self.mode == 'general':
            self.register_buffer('products', torch.eye(len(shapes)))

    def forward(self, peers, batch):
        logits, label, valid = self.scores(peers, batch)
        with torch.no_grad(), torch.autocast(label.device.type, enabled=False):  # small differences of the peers decide
            teacher = self.ensemble(torch.stack([x.float() for x in logits.values()]), label.masked_fill(~valid, 0), valid)
        return {
            f'loss_kdcl_{a}': self.loss_weight * self.tau**2 * masked_mean(kl_map(logits[a], teacher, self.tau), valid)
            for a in self.learners
        }

    def ensemble(self, z, label, valid):
        """Logits ``[B, K, H, W]`` that teach."""
        if self.mode != 'general':
            return dict(naive=naive, linear=linear, min_logit=min_logit)[self.mode](z, label)
        if self.training:
            self.products.lerp_(error_products(z, label, valid).to(self.products), 1 - self.momentum)
        return general(z, general_weights(self.products))
