"""An image encoder into the space of text embeddings without CLIP: a pretrained network's pooled features and one linear map, fitted in
closed form.
"""

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import UserError
from ..registry import MODELS


@MODELS.register_module()
class LinearTextTower(nn.Module):
    """Images ``[B, 3, H, W]`` -> vectors ``[B, width]``: mean over the places of the backbone's last map, then ``project``, a linear layer
    that ``fit_text_tower`` fills. Tap ``project``.

    It stands in for CLIP's image tower where no weights of CLIP are at hand, so that selective global distillation can run. It has seen the
    classes and images it was fitted on, not 400 million captions: results with it test the machinery and say nothing of Chimera-Seg.
    """

    def __init__(self, backbone, channels, width):
        super().__init__()
        self.backbone, self.project = MODELS.build(backbone), nn.Linear(channels, width)

    def features(self, image):
        """``[B, channels]``."""
        return self.backbone(image)[-1].mean((2, 3))

    def forward(self, image):
        return self.project(self.features(image))


def label_vectors(labels, text, unseen=()):
    """What an image is about, in text: the mean of the rows ``text [K, D]`` of its seen classes, by their share of pixels, of unit length;
    ``[B, H, W]`` -> ``[B, D]``.

    Raises UserError for an image without any labelled pixel of a seen class.
    """
    counts = torch.stack([torch.bincount(label.flatten(), minlength=256)[: len(text)] for label in labels]).to(text.dtype)
    counts[:, list(unseen)] = 0
    if not bool(counts.sum(1).all()):
        raise UserError('An image has no labelled pixel of a seen class, so nothing says what it shows; leave it out of the fit.')
    return F.normalize(counts @ text, dim=1)


def ridge(x, y, strength):
    """``(weight [D, C], bias [D])`` that minimise ``|x W' + b - y|^2 + strength * n * |W|^2`` of centred ``x [n, C]``, ``y [n, D]``; in
    float64.
    """
    x, y = x.double(), y.double()
    mx, my = x.mean(0), y.mean(0)
    x, y = x - mx, y - my
    weight = torch.linalg.solve(x.T @ x + strength * len(x) * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y).T
    return weight.float(), (my - weight @ mx).float()


@torch.no_grad()
def fit_text_tower(tower, images, labels, text, unseen=(), strength=1e-2):
    """Fills ``tower.project`` from normalised ``images`` (an iterable of ``[B, 3, H, W]``) and their ``labels`` (``[B, H, W]``), unseen
    classes left out; returns the mean cosine to the targets on these.
    """
    pairs = [(tower.features(x), label_vectors(y, text, unseen)) for x, y in zip(images, labels, strict=False)]
    x, y = (torch.cat(part) for part in zip(*pairs, strict=False))
    scale = x.std(0).mean().clamp(min=1e-12)
    weight, bias = ridge(x / scale, y, strength)
    tower.project.weight.copy_(weight / scale)
    tower.project.bias.copy_(bias)
    return F.cosine_similarity(tower.project(x), y).mean().item()
