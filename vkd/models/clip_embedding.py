"""The frozen end of CLIP's image encoder on any features: the way of a network of its own into CLIP's image-text space.

Chimera-Seg-style, reconstructed after the abstract of arXiv 2506.22032; see ``heads/clip_semantic.py``.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..distill.align import map_to_tokens, tokens_to_map
from ..errors import UserError, choice


class FrozenViT(nn.Module):
    """The last ``num_blocks`` blocks of a CLIP ViT, its last layer norm and its projection: tokens ``[B, L, width]`` -> ``[B, L, D]``.

    Without class token and positions, which CLIP adds at its input alone; so with ``attn_mode='full'`` a permutation of the tokens permutes
    the result.

    Args:
        attn_mode: 'full': the blocks as they were trained. 'value': of the last block only ``out_proj(V(ln_1(x)))``, without softmax,
            residual and MLP, so that each token stays for itself (Zhou et al., "Extract Free Dense Labels from CLIP", ECCV 2022).
    """

    def __init__(self, visual, num_blocks=1, attn_mode='full'):
        super().__init__()
        blocks = visual.transformer.resblocks
        _check_blocks(num_blocks, len(blocks))
        if attn_mode == 'value' and not num_blocks:
            raise UserError("ClipSemanticHead: attn_mode='value' needs a block to take the values of; give num_blocks of 1 or more.")
        self.blocks, self.ln_post, self.proj, self.attn_mode = (
            nn.ModuleList(blocks[len(blocks) - num_blocks :]),
            visual.ln_post,
            nn.Parameter(visual.proj.detach()),
            attn_mode,
        )
        self.width, self.out_channels = visual.proj.shape

    def forward(self, x):
        for i, block in enumerate(self.blocks):
            x = values(block, x) if self.attn_mode == 'value' and i == len(self.blocks) - 1 else block(x)
        return self.ln_post(x) @ self.proj


def values(block, x):
    """``out_proj(V(ln_1(x)))`` of a CLIP block: what its attention would give if each token saw itself alone."""
    attn, width = block.attn, x.shape[-1]
    return attn.out_proj(F.linear(block.ln_1(x), attn.in_proj_weight[2 * width :], attn.in_proj_bias[2 * width :]))


class FrozenResNet(nn.Module):
    """The last ``num_blocks`` (0 to 2) bottlenecks of a CLIP ResNet, and the value and output projections of its attention pool at each
    place: ``[B, width, h, w]`` -> ``[B, D, h, w]``.

    The first bottleneck of its last stage halves the grid and is never taken.
    """

    def __init__(self, visual, num_blocks=1):
        super().__init__()
        blocks = visual.layer4[1:]
        _check_blocks(num_blocks, len(blocks))
        self.blocks, self.v_proj, self.c_proj = (
            nn.Sequential(*blocks[len(blocks) - num_blocks :]),
            visual.attnpool.v_proj,
            visual.attnpool.c_proj,
        )
        self.width, self.out_channels = self.v_proj.in_features, self.c_proj.out_features

    def forward(self, x):
        return self.c_proj(self.v_proj(self.blocks(x).movedim(1, -1))).movedim(-1, 1)


def _check_blocks(asked, there):
    if not 0 <= asked <= there:
        raise UserError(
            f'ClipSemanticHead: num_blocks={asked} was asked for, but this CLIP has {there} that can be taken; choose 0 to {there}.'
        )


class ClipEmbedding(nn.Module):
    """Features ``[B, channels, h, w]`` -> unit vectors of CLIP's joint space ``[B, D, h, w]``, float32: a trainable adapter, then the
    frozen end of CLIP.

    The gradient flows through the frozen part, never into it; it stays in eval mode whatever ``train`` says.

    Args:
        visual: image tower of an open_clip CLIP; parts of it are kept, not copied.
        max_tokens: a larger grid is reduced to at most as many places, bilinearly; test_tokens: in eval mode, as many as in training by
            default.

    Raises:
        UserError: for a tower that is neither CLIP's ViT nor its ResNet, or blocks that it does not have.
    """

    def __init__(self, visual, channels, num_blocks=1, attn_mode='full', max_tokens=4096, test_tokens=None):
        super().__init__()
        choice('ClipSemanticHead', 'attn_mode', attn_mode, ('full', 'value'))
        if hasattr(visual, 'attnpool') and hasattr(visual, 'layer4'):
            if attn_mode == 'value':
                raise UserError(
                    "ClipSemanticHead: attn_mode='value' is of CLIP's ViTs; a ResNet's pool is taken by its values anyway: leave it out."
                )
            self.frozen = FrozenResNet(visual, num_blocks)
            self.norm, self.tokens = nn.Sequential(nn.BatchNorm2d(self.frozen.width), nn.ReLU()), False
        elif (
            hasattr(visual, 'transformer')
            and isinstance(getattr(visual, 'proj', None), torch.Tensor)
            and getattr(visual, 'attn_pool', None) is None
            and getattr(visual, 'pool_type', '') == 'tok'
        ):
            self.frozen = FrozenViT(visual, num_blocks, attn_mode)
            self.norm, self.tokens = nn.LayerNorm(self.frozen.width), True
        else:
            raise UserError(
                f"ClipSemanticHead: an image tower of type {type(visual).__name__} is neither CLIP's ViT with a class token nor its "
                "ResNet; choose another CLIP, such as 'ViT-B-16-quickgelu'."
            )
        self.adapter = nn.Conv2d(channels, self.frozen.width, 1)
        self.max_tokens, self.test_tokens, self.out_channels = max_tokens, test_tokens or max_tokens, self.frozen.out_channels
        self.frozen.requires_grad_(False).eval()

    def train(self, mode=True):
        super().train(mode)
        self.frozen.eval()  # the batch norms of a ResNet would go on counting
        return self

    def forward(self, x):
        x = self.adapter(at_most(x, self.max_tokens if self.training else self.test_tokens))
        size = x.shape[-2:]
        x = tokens_to_map(self.frozen(self.norm(map_to_tokens(x))), size) if self.tokens else self.frozen(self.norm(x))
        return F.normalize(x.float(), dim=1, eps=1e-6)


def at_most(x, places):
    """``[B, C, h, w]``, bilinearly reduced in its own shape to at most ``places`` places."""
    h, w = x.shape[-2:]
    if h * w <= places:
        return x
    rows = min(max(1, math.isqrt(h * places // w)), places)  # h * sqrt(places / (h * w)), in whole numbers
    return F.interpolate(x, size=(rows, max(1, min(rows * w // h, places // rows))), mode='bilinear', align_corners=False)
