"""Intra-class feature variation distillation."""

import torch
import torch.nn.functional as F

from ..distill.peers import PeerMethod, labels_of
from ..registry import METHODS


def class_similarity(features, label, num_classes, ignore_index=255):
    """Cosine ``[B, h, w]`` of each place's feature ``[B, C, h, w]`` with the mean feature of its class in that image; ``label [B, h, w]``;
    0 where it is ignored.
    """
    with torch.autocast(features.device.type, enabled=False):  # a mean over thousands of places needs float32
        features = features.float()
        valid = label != ignore_index
        member = F.one_hot(label.masked_fill(~valid, 0), num_classes).permute(0, 3, 1, 2).to(features) * valid[:, None]
        flat = member.flatten(2)
        centers = torch.bmm(flat, features.flatten(2).transpose(1, 2)) / flat.sum(2, keepdim=True).clamp(min=1e-6)
        own = torch.bmm(centers.transpose(1, 2), flat).view_as(features)
        return F.cosine_similarity(features, own, dim=1) * valid


def ifvd_loss(learner, source, label, num_classes, ignore_index=255):
    """Mean squared difference of the two similarity maps, over the valid places of the learner's grid.

    Args:
        learner: map ``[B, *, h, w]``.
        source: map ``[B, *, h, w]``; its channels and grid may differ from the learner's (it is resized).
        label: ``[B, H, W]``, sampled nearest.

    Wang et al., "Intra-class Feature Variation Distillation for Semantic Segmentation", ECCV 2020.
    """
    size = learner.shape[-2:]
    source = source.detach()
    if source.shape[-2:] != size:
        source = F.interpolate(source.float(), size=size, mode='bilinear', align_corners=False)
    label = F.interpolate(label[:, None].float(), size=size, mode='nearest')[:, 0].long()
    away = (class_similarity(learner, label, num_classes, ignore_index) - class_similarity(source, label, num_classes, ignore_index)) ** 2
    return away.sum() / (label != ignore_index).sum().clamp(min=1)


@METHODS.register_module()
class IFVD(PeerMethod):
    """How far each place is from the centre of its class, learnt from a teacher, or among peers from each other (a mean over the sources).

    Args:
        features: tap of the maps, or ``{role: tap}``; by default what goes into the classifier.
        loss_weight: our choice; the paper's own is for its sum and schedule.
    """

    kinds = ('features', 'logits')

    def __init__(self, features='in:decode_head.conv_seg', logits='decode_head.conv_seg', loss_weight=10.0):
        super().__init__()
        self.keep(features=features, logits=logits, loss_weight=loss_weight)

    def forward(self, peers, batch):
        label = labels_of(batch)
        maps = {r: peers[r][self.taps(r)[0]] for r in peers}
        out = {}
        for a in self.learners:
            terms = [ifvd_loss(maps[a], maps[y], label, self.num_classes, self.ignore_index) for x, y in self.pairs if x == a]
            out[f'loss_ifvd_{a}'] = self.loss_weight * sum(terms) / len(terms)
        return out
