"""CTCL-R: a CNN and a vision transformer teach each other, each only where it is the more reliable one.

A reconstruction after the abstract and Figure 1 of Zhu et al., "A Good Student is Cooperative and Reliable: CNN-Transformer Collaborative
Learning for Semantic Segmentation" (ICCV 2023, arXiv 2307.12574). The paper's formulas, taps and weights were not at hand: what is
transferred is sourced, how is our decision, so results of it are results of CTCL-R and not the paper's. docs/ctcl.md says which is which.

``cost`` is a map of unreliability, lower is better: cross entropy against the label, or entropy.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from ..distill.peers import PeerMethod, by_role, check_equal_classes, kl_of_logs, labels_of, masked_mean, on_one_grid, pairs
from ..errors import UserError, nearest
from ..registry import METHODS
from ..schema import COUNT, FLAG, NUMBER, WEIGHT, WHOLE, Rule, name_of, optional


# -- features of the low layers --------------------------------------------------------------------------------------------
def heterogeneous_feature_loss(adapted, target, distance='cos'):
    """Mean over the places of ``1 - cos`` of the channel vectors of ``[B, C, h, w]`` maps; the learner's is resized to the target's grid.

    ``distance='mse_norm'``: the squared distance of the unit vectors, twice that. The target's gradient is not followed.
    """
    if adapted.shape[-2:] != target.shape[-2:]:
        adapted = F.interpolate(adapted, size=target.shape[-2:], mode='bilinear', align_corners=False)
    away = 1 - F.cosine_similarity(adapted.float(), target.detach().float(), dim=1)
    return away.mean() * (2 if distance == 'mse_norm' else 1)


# -- who is reliable, and where --------------------------------------------------------------------------------------------
def cost_map(logits, label, ignore_index=255, reliability='gt_ce'):
    """Unreliability ``[B, H, W]`` of logits ``[B, K, H, W]``, without gradient: cross entropy, or entropy. What it holds at ignored places
    means nothing.
    """
    return cost_of_logs(F.log_softmax(logits.detach().float(), dim=1), label, ignore_index, reliability)


def cost_of_logs(log_p, label, ignore_index=255, reliability='gt_ce'):
    """``cost_map``, computed from log-probabilities instead of logits."""
    log_p = log_p.detach()
    if reliability == 'entropy':
        return -(log_p.exp() * log_p).sum(1)
    return F.nll_loss(log_p, label, ignore_index=ignore_index, reduction='none')


def teaches(learner_cost, source_cost, valid, margin=0.0):
    """Where the source teaches the learner: valid places at which its cost is lower by more than ``margin``. A tie teaches nobody."""
    return valid & (source_cost + margin < learner_cost)


def region_costs(cost, valid, grid):
    """``(mean cost of the valid places of each cell [B, Gh, Gw], whether it has any)`` of a map ``[B, H, W]`` over ``grid = (Gh, Gw)``."""
    share = F.adaptive_avg_pool2d(valid.float()[:, None], grid)[:, 0]
    total = F.adaptive_avg_pool2d((cost * valid)[:, None], grid)[:, 0]
    return total / share.clamp(min=1e-12), share > 0


# -- selective distillation ------------------------------------------------------------------------------------------------
def region_selective_loss(adapted, target, mask, normalise='active'):
    """``1 - cos`` of region descriptors ``[B, C, Gh, Gw]``, mean over the active regions of ``mask [B, Gh, Gw]``, or over all
    (``normalise='all'``).
    """
    away = 1 - F.cosine_similarity(adapted.float(), target.detach().float(), dim=1)
    return masked_mean(away, mask) if normalise == 'active' else (away * mask).mean()


def pixel_selective_loss(learner, source, mask, tau=1.0):
    """``tau^2 * KL(source || learner)`` of log-probabilities at temperature ``tau``, ``[B, K, H, W]``, mean over the places of ``mask [B,
    H, W]``.
    """
    return tau**2 * masked_mean(kl_of_logs(learner, source), mask)


def adapter(learner_channels, source_channels):
    """A 1x1 convolution without bias and a batch norm, into the source's raw space; no activation, since a transformer's maps have both
    signs.
    """
    return nn.Sequential(nn.Conv2d(learner_channels, source_channels, 1, bias=False), nn.BatchNorm2d(source_channels))


class MixStage(nn.Module):
    """One stage of mmseg's MixVisionTransformer, ``[embedding, blocks, norm]``, as a function of a map."""

    def __init__(self, layers):
        super().__init__()
        self.embed, self.blocks, self.norm = layers

    def forward(self, x):
        x, size = self.embed(x)
        for block in self.blocks:
            x = block(x, size)
        return self.norm(x).transpose(1, 2).reshape(len(x), -1, *size)


# -- the method ------------------------------------------------------------------------------------------------------------
@METHODS.register_module()
class CTCL(PeerMethod):
    """Heterogeneous feature distillation (HFD) of low layers and bidirectional selective distillation (BSD) of regions and pixels, among
    two peers or more.

    With more than two, each learner's terms are means over its sources. A frozen teacher among them only teaches.

    Args:
        hfd_weight: weight of the high-frequency part; 0: it is not built.
        region_weight: weight of the part by region; 0: it is not built.
        pixel_weight: weight of the part by pixel; 0: it is not built.
        hfd_mode: 'mimic': the learner's adapted map is compared with the other's raw one. 'cross' (experimental): the adapted map runs
            through the other's next stage, whose weights do not learn from it, and is compared with that stage's own output; it needs
            ``cross_stages`` and ``cross``.
        distance: 'cos' or 'mse_norm'.
        low: tap of the maps of the low layers, or ``{role: tap}``; a list of taps is summed over.
        deep: tap of the maps that are compared by region, or ``{role: tap}``.
        logits: tap of the class scores, or ``{role: tap}``.
        cross_stages: ``{role: module path}`` of the stage behind ``low``.
        cross: ``{role: tap}`` of the output of that stage.
        grid: ``(Gh, Gw)`` of the regions; None: one a 32x32 pixels of the label map.
        normalise: 'active' divides by the active regions, 'all' by all.
        tau: temperature of the pixels.
        margin: by how much the source's cost must be lower.
        reliability: 'gt_ce', or 'entropy', which looks at no label (but at which places are ignored).
        require_correct: a pixel's source must also be right.
        resolution: of the pixel part: 'label', or 'logit' (the smallest of the logits' grids; less memory).
        start: iteration at which the terms begin; before it they are 0.

    Logs, a learner: ``pixel_density_*`` and ``region_density_*`` (shares of the valid pixels and regions at which it is taught);
        ``agreement`` (share of the valid pixels with one answer of all).

    Raises:
        UserError: for peers with other classes or ignored labels, a grid finer than a tap, a batch of one image in training (the adapters'
            batch norm).
    """

    rules = dict(
        hfd_weight=WEIGHT,
        region_weight=WEIGHT,
        pixel_weight=WEIGHT,
        hfd_mode=name_of(('mimic', 'cross')),
        distance=name_of(('cos', 'mse_norm')),
        grid=optional(Rule(lambda v: isinstance(v, (list, tuple)) and len(v) == 2 and all(map(COUNT.holds, v)), 'two numbers of regions')),
        normalise=name_of(('active', 'all')),
        margin=Rule(lambda v: NUMBER.holds(v) or v in (math.inf, -math.inf), 'a number'),  # -inf: every source teaches
        reliability=name_of(('gt_ce', 'entropy')),
        require_correct=FLAG,
        start=WHOLE,
    )

    def __init__(
        self,
        hfd_weight=0.1,
        region_weight=0.1,
        pixel_weight=1.0,
        hfd_mode='mimic',
        distance='cos',
        low='backbone[0]',
        deep='backbone[3]',
        logits='decode_head.conv_seg',
        cross_stages=None,
        cross=None,
        grid=None,
        normalise='active',
        tau=1.0,
        margin=0.0,
        reliability='gt_ce',
        require_correct=False,
        resolution='label',
        start=0,
    ):
        super().__init__()
        self.keep(hfd_weight=hfd_weight, region_weight=region_weight, pixel_weight=pixel_weight, hfd_mode=hfd_mode, distance=distance)
        self.keep(low=low, deep=deep, logits=logits, cross_stages=cross_stages, cross=cross)
        self.keep(grid=grid, normalise=normalise, tau=tau, margin=margin, start=start)
        self.keep(reliability=reliability, require_correct=require_correct, resolution=resolution)
        self.some_weight('hfd_weight', 'region_weight', 'pixel_weight')
        if hfd_weight and hfd_mode == 'cross' and not (cross_stages and cross):
            raise UserError(
                "CTCL: hfd_mode='cross' needs cross_stages={role: module path} and cross={role: tap}; give both, or use 'mimic'."
            )

    # -- taps ------------------------------------------------------------------------------------------------------------
    def _low(self, role):
        taps = by_role(self.low, role, 'low', 'CTCL')
        return [taps] if isinstance(taps, str) else list(taps)

    def _tap(self, kind, role):
        return by_role(getattr(self, kind), role, kind, 'CTCL')

    def taps(self, role):
        cross = self.hfd_weight and self.hfd_mode == 'cross'
        return [
            self._tap('logits', role),
            *(self._low(role) if self.hfd_weight else []),
            *([self._tap('cross', role)] if cross else []),
            *([self._tap('deep', role)] if self.region_weight else []),
        ]

    def find_taps(self, networks):
        super().find_taps(networks)
        self.hosts = {}
        if self.hfd_weight and self.hfd_mode == 'cross':
            for role, network in networks.items():  # a plain dict: they are not this module's own
                path = self._tap('cross_stages', role)
                if path not in dict(network.named_modules()):
                    raise UserError(
                        f'CTCL: cross_stages names {path!r}, which the {role} does not have; '
                        f'{nearest(path, dict(network.named_modules()))}.'
                    )
                stage = network.get_submodule(path)
                self.hosts[role] = MixStage(stage) if isinstance(stage, nn.ModuleList) else stage

    def setup(self, shapes, learners):
        roles = list(shapes)
        check_equal_classes({r: shapes[r][self._tap('logits', r)][1] for r in roles}, 'CTCL')
        self.learners, self.pairs = learners, pairs(roles, learners)
        if self.hfd_weight:
            counts = {r: len(self._low(r)) for r in roles}
            if len(set(counts.values())) > 1 or self.hfd_mode == 'cross' and set(counts.values()) != {1}:
                raise UserError(
                    f'CTCL: low has {", ".join(f"{v} taps of {k}" for k, v in counts.items())}; give equally many, and one with '
                    'hfd_mode=cross.'
                )
            self.adapt_low = self._adapters(
                lambda a, b: nn.ModuleList(
                    adapter(shapes[a][s][1], shapes[b][t][1]) for s, t in zip(self._low(a), self._low(b), strict=False)
                )
            )
        if self.region_weight:
            self.adapt_region = self._adapters(lambda a, b: adapter(shapes[a][self._tap('deep', a)][1], shapes[b][self._tap('deep', b)][1]))

    def _adapters(self, make):
        """``{learner: {source: adapter}}``, grouped with its learner."""
        return nn.ModuleDict(
            {a: nn.ModuleDict({y: make(x, y) for x, y in self.pairs if x == a}) for a in dict.fromkeys(a for a, _ in self.pairs)}
        )

    # -- loss ------------------------------------------------------------------------------------------------------------
    def forward(self, peers, batch):
        full, roles = labels_of(batch), list(peers)
        if self.training and len(full) == 1 and any(type(m) is nn.BatchNorm2d for m in self.modules()):
            raise UserError(
                'CTCL: a batch of one image makes poor statistics for the batch norm of its adapters; use batch_size of 2 or more, SyncBN, '
                'or hfd_weight=0 and region_weight=0.'
            )
        logits, label = on_one_grid({r: peers[r][self._tap('logits', r)] for r in roles}, full, self.resolution)
        valid = label != self.ignore_index
        # once: a softmax at the labels' size is most of what this method costs
        log_p = {r: F.log_softmax(x.float(), dim=1) for r, x in logits.items()}
        tempered = log_p if self.tau == 1 else {r: F.log_softmax(x.float() / self.tau, dim=1) for r, x in logits.items()}
        costs = {r: cost_of_logs(x, label, self.ignore_index, self.reliability) for r, x in log_p.items()}
        answers = {r: x.detach().argmax(1) for r, x in logits.items()}
        out = dict(agreement=masked_mean(torch.stack([answers[r] == answers[roles[0]] for r in roles]).all(0), valid))
        if self.region_weight:
            grid = self._grid(peers, full)
            regions = {r: region_costs(costs[r], valid, grid) for r in roles}
        on = float(batch['iter'] >= self.start)  # terms stay in the graph, so that no process waits for a gradient

        def add(key, learner, value):
            sources = sum(a == learner for a, _ in self.pairs)
            out[f'{key}_{learner}'] = out.get(f'{key}_{learner}', 0) + value / sources

        for a, b in self.pairs:
            if self.hfd_weight:
                add('loss_hfd', a, on * valid.any() * self.hfd_weight * self._hfd(peers, a, b))
            if self.region_weight:
                active = regions[a][1]
                mask = teaches(regions[a][0], regions[b][0], active, self.margin)
                learner, source = (
                    F.adaptive_avg_pool2d(x, grid)
                    for x in (self.adapt_region[a][b](peers[a][self._tap('deep', a)]), peers[b][self._tap('deep', b)].detach())
                )
                add('loss_region', a, on * self.region_weight * region_selective_loss(learner, source, mask, self.normalise))
                add('region_density', a, mask.sum() / active.sum().clamp(min=1))
            mask = teaches(costs[a], costs[b], valid, self.margin)
            if self.require_correct:
                mask = mask & (answers[b] == label)
            if self.pixel_weight:
                add('loss_pixel', a, on * self.pixel_weight * pixel_selective_loss(tempered[a], tempered[b], mask, self.tau))
            add('pixel_density', a, mask.sum() / valid.sum().clamp(min=1))
        return out

    def _grid(self, peers, label):
        grid = tuple(self.grid or (max(1, side // 32) for side in label.shape[-2:]))
        for role, own in peers.items():
            tap = self._tap('deep', role)
            if grid[0] > own[tap].shape[-2] or grid[1] > own[tap].shape[-1]:
                raise UserError(
                    f'CTCL: a grid of {grid[0]}x{grid[1]} regions is finer than tap {tap!r} of the {role}, '
                    f'{own[tap].shape[-2]}x{own[tap].shape[-1]}; give a coarser grid.'
                )
        return grid

    def _hfd(self, peers, a, b):
        total = 0
        for fit, s, t in zip(self.adapt_low[a][b], self._low(a), self._low(b), strict=False):
            adapted, target = fit(peers[a][s]), peers[b][t]
            if self.hfd_mode == 'cross':
                adapted, target = self._through(b, adapted, target.shape[-2:]), peers[b][self._tap('cross', b)]
            total = total + heterogeneous_feature_loss(adapted, target, self.distance)
        return total

    def _through(self, host, x, size):
        """``x`` through the next stage of ``host``: its weights are constants, its running statistics stay as they are."""
        stage = self.hosts[host]
        if x.shape[-2:] != size:
            x = F.interpolate(x, size=size, mode='bilinear', align_corners=False)
        fixed = {**{k: p.detach() for k, p in stage.named_parameters()}, **{k: v.clone() for k, v in stage.named_buffers()}}
        return functional_call(stage, fixed, (x,))
