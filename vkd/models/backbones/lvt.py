"""Lite Vision Transformer.

Yang et al., "Lite Vision Transformer with Enhanced Self-Attention", CVPR 2022 (arXiv 2112.10809). Widths, depths, ratios and the order of
operations are those of the authors' published network; the code is our own. Maps inside are ``[B, H, W, C]``.
"""

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import nn
from torch.utils.checkpoint import checkpoint

from ...registry import MODELS


class PatchEmbed(nn.Module):
    """Overlapping patches of ``[B, H, W, C]`` (an image: ``[B, C, H, W]``, ``image=True``), normalised."""

    def __init__(self, in_channels, channels, image=False):
        super().__init__()
        size, stride = (7, 4) if image else (3, 2)
        self.image, self.project, self.norm = image, nn.Conv2d(in_channels, channels, size, stride, size // 2), nn.LayerNorm(channels)

    def forward(self, x):
        x = x if self.image else x.permute(0, 3, 1, 2)
        return self.norm(self.project(x).permute(0, 2, 3, 1))


class ConvolutionalSelfAttention(nn.Module):
    """Each 3x3 window, every second place, mixes its nine neighbours by attention weights worked out from the window's mean; overlapping
    windows are summed.

    Each of the nine places has a value projection of its own.
    """

    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.weights, self.out = nn.Linear(channels, 81 * heads), nn.Linear(channels, channels)
        self.values = nn.Parameter(torch.empty(9, channels, channels).normal_(std=(2 / (9 * channels)) ** 0.5))

    def forward(self, x):
        b, height, width, c = x.shape
        planes = x.permute(0, 3, 1, 2)
        pooled = F.avg_pool2d(planes, 2, ceil_mode=True).flatten(2).transpose(1, 2)
        share = (self.weights(pooled).view(b, -1, self.heads, 9, 9) * (c // self.heads) ** -0.5).softmax(-1)
        neighbours = F.unfold(planes, 3, padding=1, stride=2).view(b, c, 9, -1)
        values = torch.einsum('bckn,kdc->bnkd', neighbours, self.values).unflatten(-1, (self.heads, -1)).transpose(2, 3)
        mixed = (share @ values).permute(0, 2, 4, 3, 1).reshape(b, 9 * c, -1)
        return self.out(F.fold(mixed, (height, width), 3, padding=1, stride=2).permute(0, 2, 3, 1))


class RecursiveAtrousSelfAttention(nn.Module):
    """Self-attention whose queries have seen three dilations of one depthwise 3x3 convolution; applied twice by the same weights. Keys and
    values may come from a reduced map.
    """

    def __init__(self, channels, heads, reduction=1, dilations=(1, 3, 5), repeats=2):
        super().__init__()
        self.heads, self.dilations, self.repeats = heads, dilations, repeats
        self.query, self.key_value, self.out = (
            nn.Linear(channels, channels, bias=False),
            nn.Linear(channels, 2 * channels, bias=False),
            nn.Linear(channels, channels),
        )
        self.atrous = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.reduce, self.norm = (
            (nn.Conv2d(channels, channels, reduction, reduction), nn.LayerNorm(channels)) if reduction > 1 else (None, None)
        )

    def attend(self, x):
        b, height, width, c = x.shape
        query = self.query(x).permute(0, 3, 1, 2)
        query = sum(F.silu(F.conv2d(query, self.atrous.weight, padding=d, dilation=d, groups=c)) for d in self.dilations)
        seen = x if self.reduce is None else self.norm(self.reduce(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        key, value = self.key_value(seen).view(b, -1, 2, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query.view(b, self.heads, c // self.heads, -1).transpose(2, 3), key, value)
        return self.out(mixed.transpose(1, 2).reshape(b, height, width, c))

    def forward(self, x):
        out = F.silu(self.attend(x))
        for _ in range(self.repeats - 1):
            x = out + x
            out = F.silu(self.attend(x))
        return out


class FeedForward(nn.Module):
    """Two linear layers with a GELU between, and a depthwise 3x3 convolution before it (``depthwise``)."""

    def __init__(self, channels, hidden, depthwise):
        super().__init__()
        self.widen, self.narrow = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden) if depthwise else None

    def forward(self, x):
        x = self.widen(x)
        if self.depthwise is not None:
            x = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.narrow(F.gelu(x))


class Block(nn.Module):
    """Attention, then a feed-forward layer, each after a norm, added to what went in; tokens ``[B, H, W, C]``."""

    def __init__(self, channels, attention, hidden, depthwise, drop_path):
        super().__init__()
        self.norm1, self.attention, self.norm2 = nn.LayerNorm(channels), attention, nn.LayerNorm(channels)
        self.feed_forward, self.drop = FeedForward(channels, hidden, depthwise), DropPath(drop_path)

    def forward(self, x):
        x = x + self.drop(self.attention(self.norm1(x)))
        return x + self.drop(self.feed_forward(self.norm2(x)))


@MODELS.register_module()
class LiteVisionTransformer(BaseModule):
    """``[B, 3, H, W]`` -> maps of strides 4, 8, 16 and 32, ``[B, C_i, H_i, W_i]``; 3.4 million parameters. Convolutional attention in the
    first stage, recursive atrous attention after.

    Args:
        drop_path_rate: of the last block, rising linearly.
        with_cp: recompute blocks in the backward pass.
    """

    def __init__(
        self,
        in_channels=3,
        embed_dims=(64, 64, 160, 256),
        num_layers=(2, 2, 2, 2),
        num_heads=(2, 2, 5, 8),
        mlp_ratios=(4, 8, 4, 4),
        sr_ratios=(8, 4, 2, 1),
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.0,
        with_cp=False,
        init_cfg=None,
    ):
        super().__init__(init_cfg)
        self.out_indices, self.with_cp = tuple(out_indices), with_cp
        rates = iter(torch.linspace(0, drop_path_rate, sum(num_layers)).tolist())
        self.stages = nn.ModuleList()
        for i, c in enumerate(embed_dims):

            def attention(c=c, i=i):
                return (
                    ConvolutionalSelfAttention(c, num_heads[i]) if i == 0 else RecursiveAtrousSelfAttention(c, num_heads[i], sr_ratios[i])
                )

            blocks = nn.Sequential(*(Block(c, attention(), mlp_ratios[i] * c, i > 0, next(rates)) for _ in range(num_layers[i])))
            self.stages.append(nn.Sequential(PatchEmbed(embed_dims[i - 1] if i else in_channels, c, image=i == 0), blocks))

    @property
    def embedding_taps(self):
        """Taps of the patch embeddings, a stage each; by them TransKD knows a hierarchical transformer (``vkd.distill.taps.stages_of``)."""
        return [f'stages.{i}.0' for i in range(len(self.stages))]

    def init_weights(self):
        """Linear layers normal with 0.02, convolutions normal by their fan out (our decision for those that the authors leave at the
        framework's default).
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
            elif isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=(2 * module.groups / (module.kernel_size[0] ** 2 * module.out_channels)) ** 0.5)
            if isinstance(module, (nn.Linear, nn.Conv2d)) and module.bias is not None:
                nn.init.zeros_(module.bias)
        super().init_weights()

    def forward(self, x):
        out = []
        for i, (embed, blocks) in enumerate(self.stages):
            x = embed(x)
            for block in blocks:
                x = checkpoint(block, x, use_reentrant=False) if self.with_cp and x.requires_grad else block(x)
            if i in self.out_indices:
                out.append(x.permute(0, 3, 1, 2).contiguous())
        return tuple(out)
