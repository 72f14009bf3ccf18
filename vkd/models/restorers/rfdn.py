"""Residual feature distillation network.

Liu et al., "Residual Feature Distillation Network for Lightweight Image Super-Resolution", ECCV Workshops 2020; as released by the authors
(njulj/RFDN, commit 7cf4e25), where a block has no skip of its own.
"""

import torch
import torch.nn.functional as F
from torch import nn

from ...errors import UserError
from ...registry import MODELS
from .imdn import check_scale, fuse_blocks
from .layers import PixelShuffleUpsample, conv


class ESA(nn.Module):
    """Enhanced spatial attention: a gate for each value, from a strided, pooled and resized look at the map; sides of 15 or more."""

    def __init__(self, channels):
        super().__init__()
        width = channels // 4
        self.conv1, self.conv_f, self.conv4 = conv(channels, width, 1), conv(width, width, 1), conv(width, channels, 1)
        self.conv2 = nn.Conv2d(width, width, 3, stride=2)
        self.conv_max, self.conv3, self.conv3_ = conv(width, width), conv(width, width), conv(width, width)

    def forward(self, x):
        first = self.conv1(x)
        seen = F.relu(self.conv_max(F.max_pool2d(self.conv2(first), 7, 3)))
        seen = self.conv3_(F.relu(self.conv3(seen)))
        seen = F.interpolate(seen, size=x.shape[-2:], mode='bilinear', align_corners=False)
        return x * self.conv4(seen + self.conv_f(first)).sigmoid()


class RFDB(nn.Module):
    """Residual feature distillation block, ``[B, C, H, W]`` -> the same shape."""

    def __init__(self, channels):
        super().__init__()
        kept = channels // 2
        for i in (1, 2, 3):
            self.add_module(f'distil{i}', conv(channels, kept, 1))
            self.add_module(f'refine{i}', conv(channels, channels))
        self.conv4, self.conv5 = conv(channels, kept), conv(4 * kept, channels, 1)
        self.act, self.esa = nn.LeakyReLU(0.05, inplace=True), ESA(channels)

    def forward(self, x):
        kept = []
        for distil, refine in ((self.distil1, self.refine1), (self.distil2, self.refine2), (self.distil3, self.refine3)):
            kept.append(self.act(distil(x)))
            x = self.act(refine(x) + x)
        return self.esa(self.conv5(torch.cat([*kept, self.act(self.conv4(x))], 1)))


@MODELS.register_module()
class RFDN(nn.Module):
    """RGB in 0 to 1, ``[B, 3, H, W]`` -> ``[B, 3, s H, s W]``, unclamped; **inside it works on 0 to 255**, as its published weights do.
    433,448 parameters at x4.

    Args:
        scale: 4 in the release; 2, 3 and 8 are ours.
        channels: width, an even number.
        blocks: how many RFDBs.
        with_cp: recompute blocks in the backward pass.

    Raises UserError for another scale or width, or an image with a side below 15.
    """

    inner_range, min_size = 255, 15

    def __init__(self, scale=4, channels=50, blocks=4, in_channels=3, out_channels=3, with_cp=False):
        super().__init__()
        check_scale(self, scale)
        if channels < 4 or channels % 2:
            raise UserError(f'RFDN: channels is {channels}; give an even number from 4 on.')
        self.scale, self.with_cp = scale, with_cp
        self.conv_first = conv(in_channels, channels)
        self.body = nn.ModuleList(RFDB(channels) for _ in range(blocks))
        self.fuse, self.act = conv(blocks * channels, channels, 1), nn.LeakyReLU(0.05)  # not in place: fuse may be tapped
        self.conv_after_body, self.upsample = conv(channels, channels), PixelShuffleUpsample(channels, out_channels, scale)

    def forward(self, x):
        return self.upsample(fuse_blocks(self, self.conv_first(x * self.inner_range))) / self.inner_range
