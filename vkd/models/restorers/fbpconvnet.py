"""FBPConvNet: a residual U-Net on the filtered back-projection.

Jin et al., "Deep Convolutional Neural Network for Inverse Problems in Imaging", IEEE TIP 2017, fig. 2; layers as in the authors' code
(panakino/FBPConvNet, commit 0a151fd, cnn_unet_init.m).
"""

import itertools

import torch
from torch import nn

from ...errors import UserError
from ...registry import MODELS
from .layers import run


def _convs(*channels):
    return nn.Sequential(
        *(
            layer
            for a, b in itertools.pairwise(channels)
            for layer in (nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True))
        )
    )


class _Up(nn.Module):
    """Doubles the map and halves the channels: a 3x3 transposed convolution whose last row and column are cut off, batch norm, ReLU."""

    def __init__(self, channels):
        super().__init__()
        self.conv, self.norm, self.relu = (
            nn.ConvTranspose2d(channels, channels // 2, 3, stride=2),
            nn.BatchNorm2d(channels // 2),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.relu(self.norm(self.conv(x)[..., :-1, :-1]))


@MODELS.register_module()
class FBPConvNet(nn.Module):
    """``[B, 1, H, W]`` with sides of 16 k -> same: the input plus what a U-Net of four poolings finds wrong with it; 34,562,945 parameters.

    Taps: ``down.0`` … ``down.4``, ``up.<i>``, ``last``.

    Args:
        width: channels of the first level, doubled at each next.
        depth: poolings.
        with_cp: recompute levels in the backward pass, which moves the statistics of batch norm twice.

    Raises UserError for an image whose sides ``2^depth`` does not divide.
    """

    channels = 1

    def __init__(self, width=64, depth=4, with_cp=False):
        super().__init__()
        wide = [width * 2**i for i in range(depth + 1)]
        self.with_cp, self.divisor, self.min_size = with_cp, 2**depth, 2**depth
        self.down = nn.ModuleList([_convs(1, width, width, width), *(_convs(a, b, b) for a, b in itertools.pairwise(wide))])
        self.pool, self.last = nn.MaxPool2d(2), nn.Conv2d(width, 1, 1)
        self.up = nn.ModuleList(_Up(c) for c in wide[:0:-1])
        self.fuse = nn.ModuleList(_convs(c, c // 2, c // 2) for c in wide[:0:-1])

    def forward(self, x):
        if x.shape[-2] % self.divisor or x.shape[-1] % self.divisor:
            raise UserError(
                f'FBPConvNet: an image of {x.shape[-2]}x{x.shape[-1]} (height x width) was given; resize or pad it to multiples of '
                f'{self.divisor}.'
            )
        kept, seen = [], x
        for i, level in enumerate(self.down):
            seen = run(level, self.pool(seen) if i else seen, self.with_cp)
            kept.append(seen)
        for up, fuse, skip in zip(self.up, self.fuse, kept[-2::-1], strict=False):
            seen = run(fuse, torch.cat([skip, up(seen)], 1), self.with_cp)
        return x + self.last(seen)
