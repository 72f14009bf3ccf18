"""CLIP's image encoder as a teacher."""

from torch import nn

from ..registry import MODELS
from .clip import load_clip


@MODELS.register_module()
class ClipImageTower(nn.Module):
    """The image tower of an open_clip CLIP: images ``[B, 3, S, S]``, normalised by CLIP's statistics, S as it was trained -> vectors ``[B,
    D]``, not of unit length.

    A Distiller's teacher with ``view=dict(mean=…, std=…, size=(224, 224))``. Tap ``visual`` gives the vectors.

    Args: as of ``load_clip``.
    """

    def __init__(self, name, checkpoint=None, random=False, **more):
        super().__init__()
        self.visual = load_clip(name, checkpoint=checkpoint, random=random, **more).visual
        count = len(self.visual.state_dict())  # load_clip takes all or nothing
        self.report = (
            dict(checkpoint=str(checkpoint), matched=count, total=count, share=1.0, missing=[], unexpected=[]) if checkpoint else None
        )

    def forward(self, image):
        return self.visual(image)

    def project(self, tokens):
        """Tokens behind the last block ``[B, N, width]`` -> the joint space ``[B, N, D]``; a ViT's alone."""
        return self.visual.ln_post(tokens) @ self.visual.proj
