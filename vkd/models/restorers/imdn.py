"""Information multi-distillation network.

Hui et al., "Lightweight Image Super-Resolution with Information Multi-distillation Network", ACM MM 2019; the order of operations is that
of the authors' published network (Zheng222/IMDN, commit 8f158e6), the code is our own. Its "distillation" peels off features inside one
network; there is no teacher in it.
"""

import torch
from torch import nn

from ...errors import UserError
from ...registry import MODELS
from .layers import PixelShuffleUpsample, conv, run

SCALES = (2, 3, 4, 8)


def contrast(x, eps=1e-12):
    """``[B, C, H, W]`` -> ``[B, C, 1, 1]``: mean plus (population) standard deviation of each channel.

    ``eps`` under the root keeps the gradient finite on a constant channel; the value moves by 1e-6 at most.
    """
    mean = x.mean((2, 3), keepdim=True)
    return mean + ((x - mean).square().mean((2, 3), keepdim=True) + eps).sqrt()


class ContrastGate(nn.Module):
    """Contrast-aware channel attention: each channel times a sigmoid gate worked out from all channels' ``contrast``."""

    global_pooling = True

    def __init__(self, channels, reduction=16):
        super().__init__()
        self.conv1, self.conv2 = conv(channels, max(channels // reduction, 1), 1), conv(max(channels // reduction, 1), channels, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        # in float32: squares of bfloat16 differences would lose what is left of them
        gate = self.conv2(self.relu(self.conv1(contrast(x.float()).to(x.dtype))))
        return x * gate.sigmoid()


class IMDB(nn.Module):
    """Information multi-distillation block, ``[B, C, H, W]`` -> the same shape.

    Three times a convolution and an activation whose first quarter of channels is kept and whose rest goes on; a fourth convolution; all
    kept parts are gated, mixed and added to the input.

    Args:
        gate: a module on the kept parts; None leaves it out.
    """

    def __init__(self, channels=64, gate=None):
        super().__init__()
        kept = channels // 4
        self.sizes = kept, channels - kept
        self.conv1 = conv(channels, channels)
        self.conv2, self.conv3 = conv(channels - kept, channels), conv(channels - kept, channels)
        self.conv4, self.conv5 = conv(channels - kept, kept), conv(4 * kept, channels, 1)
        self.act, self.cca = nn.LeakyReLU(0.05, inplace=True), gate or nn.Identity()

    def forward(self, x):
        kept, rest = [], x
        for layer in (self.conv1, self.conv2, self.conv3):
            part, rest = self.act(layer(rest)).split(self.sizes, 1)
            kept.append(part)
        return self.conv5(self.cca(torch.cat([*kept, self.conv4(rest)], 1))) + x


def fuse_blocks(network, x):
    """``x`` through ``network.body``, all outputs concatenated, through ``fuse``, ``act`` and ``conv_after_body``, plus ``x``."""
    seen, out = x, []
    for block in network.body:
        seen = run(block, seen, network.with_cp)
        out.append(seen)
    return network.conv_after_body(network.act(network.fuse(torch.cat(out, 1)))) + x


def check_scale(network, scale, scales=SCALES):
    """Raises UserError for a factor that ``network`` is not made for."""
    if scale not in scales:
        raise UserError(f'{type(network).__name__}: scale {scale!r} is not offered; choose one of {", ".join(map(str, scales))}.')


@MODELS.register_module()
class IMDN(nn.Module):
    """RGB in 0 to 1, ``[B, 3, H, W]`` -> ``[B, 3, s H, s W]``, unclamped. 694,404 parameters at x2, 703,059 at x3, 715,176 at x4, 798,264
    at x8.

    Taps: ``conv_first``, ``body.0`` to ``body.5``, ``fuse``, ``conv_after_body``, ``upsample``.

    Args:
        scale: 2, 3, 4 or 8.
        channels: width, a multiple of 4.
        blocks: how many IMDBs.
        with_cp: recompute blocks in the backward pass.

    Raises UserError for another scale or width.
    """

    inner_range, min_size = 1, 1

    def __init__(self, scale=4, channels=64, blocks=6, in_channels=3, out_channels=3, with_cp=False):
        super().__init__()
        check_scale(self, scale)
        check_width(self, channels)
        self.scale, self.with_cp = scale, with_cp
        self.conv_first = conv(in_channels, channels)
        self.body = nn.ModuleList(IMDB(channels, ContrastGate(channels)) for _ in range(blocks))
        self.fuse, self.act = conv(blocks * channels, channels, 1), nn.LeakyReLU(0.05)  # not in place: fuse may be tapped
        self.conv_after_body, self.upsample = conv(channels, channels), PixelShuffleUpsample(channels, out_channels, scale)

    def forward(self, x):
        return self.upsample(fuse_blocks(self, self.conv_first(x)))


def check_width(network, channels):
    """Raises UserError where ``channels`` cannot be parted into quarters."""
    if channels < 4 or channels % 4:
        raise UserError(f'{type(network).__name__}: channels is {channels}, of which a quarter is kept in each step; give a multiple of 4.')
