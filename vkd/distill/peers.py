"""What the methods between peers share: their logits on one grid, the labels, who learns from whom."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import UserError
from ..schema import POSITIVE, name_of
from .method import Method

#: on whose grid logits and labels meet: the label's, or the smallest of the logits'
RESOLUTIONS = ('label', 'logit')


class PeerMethod(Method):
    """A method among roles of the same classes and ignored label: all of them are read, and each that learns gets terms of its own.

    ``forward(peers, batch)`` gets ``{role: {tap: tensor}}``. ``setup`` notes ``learners`` and ``pairs`` (``[(learner, source)]``). Give a
    module by which a role learns the name of that role, so that it goes to that role's optimizer.

    ``kinds`` names the options that hold a tap, or ``{role: tap}``; the last is that of the class scores.
    """

    mutual = True
    kinds: tuple[str, ...] = ('logits',)
    resolution: str
    ignore_index: int
    num_classes: int
    learners: list[str]
    pairs: list[tuple[str, str]]
    rules = dict(tau=POSITIVE, loss_weight=POSITIVE, resolution=name_of(RESOLUTIONS))

    def taps(self, role: str) -> list[str]:
        """Taps that are read of ``role``."""
        return [by_role(getattr(self, kind), role, kind, type(self).__name__) for kind in self.kinds]

    def find_taps(self, networks: Mapping[str, nn.Module]) -> None:  # type: ignore[override]  # called in the way of its kind: wires.CALLS
        """Called once with ``{role: network}``, before taps are tried."""
        self.ignore_index = ignored_label(networks, type(self).__name__)

    def setup(self, shapes: Mapping[str, Mapping[str, tuple[int, ...]]], learners: list[str]) -> None:  # type: ignore[override]  # likewise
        """Called once, at build, with ``{role: {tap: shape}}`` and the names of the roles that learn."""
        classes = {role: own[self.taps(role)[-1]][1] for role, own in shapes.items()}
        check_equal_classes(classes, type(self).__name__)
        self.num_classes = next(iter(classes.values()))
        self.learners, self.pairs = learners, pairs(list(shapes), learners)

    def scores(
        self, peers: Mapping[str, Mapping[str, torch.Tensor]], batch: Mapping[str, Any]
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
        """``({role: logits [B, K, h, w]}, label [B, h, w], where it is valid)`` at the method's ``resolution``."""
        logits = {role: own[self.taps(role)[-1]] for role, own in peers.items()}
        logits, label = on_one_grid(logits, labels_of(batch), self.resolution)
        return logits, label, label != self.ignore_index


def pairs(roles: Sequence[str], learners: Sequence[str]) -> list[tuple[str, str]]:
    """``[(learner, source)]``: every role that learns, with every other role.

    >>> pairs(['student', 'vit'], ['student'])
    [('student', 'vit')]
    """
    return [(a, b) for a in roles if a in learners for b in roles if b != a]


def labels_of(batch: Mapping[str, Any]) -> torch.Tensor:
    """Label maps ``[B, H, W]`` of ``batch['data_samples']``, int64. Raises UserError where a sample has none."""
    samples = batch['data_samples']
    if not samples or any('gt_sem_seg' not in s for s in samples):
        raise UserError('A method between peers needs label maps to tell who is right; load annotations, or choose one that needs none.')
    return torch.stack([s.gt_sem_seg.data.squeeze(0) for s in samples]).long()


def on_one_grid(
    logits: Mapping[str, torch.Tensor], label: torch.Tensor, resolution: str = 'label'
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """``({role: [B, K, h, w]}, label [B, h, w])``: logits bilinear, labels nearest, at the label's size, or at the smallest of the logits'
    (``resolution='logit'``).
    """
    size = (
        tuple(label.shape[-2:]) if resolution == 'label' else min((tuple(x.shape[-2:]) for x in logits.values()), key=lambda s: s[0] * s[1])
    )
    out = {
        name: x if tuple(x.shape[-2:]) == size else F.interpolate(x, size=size, mode='bilinear', align_corners=False)
        for name, x in logits.items()
    }
    if tuple(label.shape[-2:]) != size:
        label = F.interpolate(label[:, None].float(), size=size, mode='nearest')[:, 0].long()
    return out, label


def ignored_label(networks: Mapping[str, nn.Module], method: str) -> int:
    """The label that all of ``networks`` ({role: module}) ignore. Raises UserError where they differ."""
    found = {name: getattr(getattr(net, 'decode_head', None), 'ignore_index', 255) for name, net in networks.items()}
    if len(set(found.values())) > 1:
        raise UserError(
            f'{method}: the ignored label is {", ".join(f"{v} of {k}" for k, v in found.items())}; peers need one: set ignore_index of '
            'their heads alike.'
        )
    return next(iter(found.values()))


def check_equal_classes(channels: Mapping[str, int], method: str) -> None:
    """Raises UserError unless the numbers of classes in ``channels`` ({role: int}) are equal."""
    if len(set(channels.values())) > 1:
        raise UserError(
            f'{method}: the logits have {", ".join(f"{v} classes of {k}" for k, v in channels.items())}; peers need the same: set '
            'num_classes of their heads alike.'
        )


def by_role(value: Any, role: str, name: str, method: str) -> Any:
    """``value`` of one role: itself, or, of a dict by role, that role's. Raises UserError where the dict has none."""
    if not isinstance(value, dict):
        return value
    if role not in value:
        raise UserError(f'{method}: {name} is given for {", ".join(value)}, not for {role!r}; add it.')
    return value[role]


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of ``values`` over the places of ``mask``, 0 (and no gradient) where it is empty; float32."""
    return (values.float() * mask).sum() / mask.sum().clamp(min=1)


def kl_map(learner: torch.Tensor, source: torch.Tensor, tau: float = 1.0) -> torch.Tensor:
    """``KL(softmax(source / tau) || softmax(learner / tau))`` at each place: ``[B, K, H, W]`` twice -> ``[B, H, W]``; the source's gradient
    is not followed.
    """
    return kl_of_logs(F.log_softmax(learner.float() / tau, dim=1), F.log_softmax(source.detach().float() / tau, dim=1))


def kl_of_logs(learner: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """``kl_map``, computed from log-probabilities instead of logits."""
    source = source.detach()
    return (source.exp() * (source - learner)).sum(1)
