"""Enhanced deep residual network.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPR Workshops 2017, sec. 3 and table 1.
"""

import torch
from torch import nn

from ...registry import MODELS
from .imdn import check_scale
from .layers import SteppedUpsample, conv, run

MEAN = 0.4488, 0.4371, 0.4040  # of DIV2K's RGB, on 0 to 1


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, times ``scale``, plus the input."""

    def __init__(self, channels, scale):
        super().__init__()
        self.conv1, self.conv2, self.scale, self.relu = conv(channels, channels), conv(channels, channels), scale, nn.ReLU(inplace=True)

    def forward(self, x):
        return self.conv2(self.relu(self.conv1(x))) * self.scale + x


class MeanShifted(nn.Module):
    """A network on 0 to 255 around DIV2K's mean; outside, images are RGB in 0 to 1."""

    inner_range, min_size = 255, 1

    def __init__(self):
        super().__init__()
        self.register_buffer('mean', torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, x):
        mean = self.mean.to(x.dtype)
        return self.restore((x - mean) * self.inner_range) / self.inner_range + mean


@MODELS.register_module()
class EDSR(MeanShifted):
    """RGB in 0 to 1, ``[B, 3, H, W]`` -> ``[B, 3, s H, s W]``, unclamped; inside it works on 0 to 255 around DIV2K's mean, as its published
    weights do.

    The defaults are the baseline: 1,369,859 parameters at x2, 1,554,499 at x3, 1,517,571 at x4. The full width of the paper is
        ``channels=256, blocks=32, res_scale=0.1``: 43,089,923 at x4.
    Taps: ``conv_first``, ``body.0`` …, ``conv_after_body``, ``upsample``, ``conv_last``.

    Args:
        scale: 2, 3, 4 or 8.
        channels: width.
        blocks: residual blocks.
        res_scale: factor of each block's residual.
        with_cp: recompute blocks in the backward pass.
    """

    def __init__(self, scale=4, channels=64, blocks=16, res_scale=1.0, with_cp=False):
        super().__init__()
        check_scale(self, scale)
        self.scale, self.with_cp = scale, with_cp
        self.conv_first = conv(3, channels)
        self.body = nn.ModuleList(ResidualBlock(channels, res_scale) for _ in range(blocks))
        self.conv_after_body, self.upsample, self.conv_last = conv(channels, channels), SteppedUpsample(channels, scale), conv(channels, 3)

    def restore(self, x):
        first = seen = self.conv_first(x)
        for block in self.body:
            seen = run(block, seen, self.with_cp)
        return self.conv_last(self.upsample(self.conv_after_body(seen) + first))
