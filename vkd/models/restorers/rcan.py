"""Residual channel attention network.

Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", ECCV 2018, sec. 3.
"""

from torch import nn

from ...registry import MODELS
from .edsr import MeanShifted
from .imdn import check_scale
from .layers import SteppedUpsample, conv, run


class ChannelAttention(nn.Module):
    """Each channel times a sigmoid gate worked out from all channels' means."""

    global_pooling = True

    def __init__(self, channels, reduction):
        super().__init__()
        width = max(channels // reduction, 1)
        self.conv1, self.conv2, self.relu = conv(channels, width, 1), conv(width, channels, 1), nn.ReLU(inplace=True)

    def forward(self, x):
        return x * self.conv2(self.relu(self.conv1(x.mean((2, 3), keepdim=True)))).sigmoid()


class AttentionBlock(nn.Module):
    """Convolution, ReLU, convolution, channel attention, plus the input."""

    def __init__(self, channels, reduction):
        super().__init__()
        self.conv1, self.conv2, self.relu, self.attention = (
            conv(channels, channels),
            conv(channels, channels),
            nn.ReLU(inplace=True),
            ChannelAttention(channels, reduction),
        )

    def forward(self, x):
        return self.attention(self.conv2(self.relu(self.conv1(x)))) + x


class ResidualGroup(nn.Module):
    """Blocks in sequence, a convolution, plus the input."""

    def __init__(self, channels, blocks, reduction):
        super().__init__()
        self.blocks, self.conv = nn.Sequential(*(AttentionBlock(channels, reduction) for _ in range(blocks))), conv(channels, channels)

    def forward(self, x):
        return self.conv(self.blocks(x)) + x


@MODELS.register_module()
class RCAN(MeanShifted):
    """RGB in 0 to 1, ``[B, 3, H, W]`` -> ``[B, 3, s H, s W]``, unclamped; inside it works on 0 to 255 around DIV2K's mean, as its published
    weights do. 15,592,355 parameters at x4.

    Taps: ``conv_first``, ``body.0`` … (groups), ``conv_after_body``, ``upsample``, ``conv_last``.

    Args:
        scale: 2, 3, 4 or 8.
        channels: width.
        groups: residual groups.
        blocks: residual blocks in each group.
        reduction: of the attention's width.
        with_cp: recompute groups in the backward pass.
    """

    def __init__(self, scale=4, channels=64, groups=10, blocks=20, reduction=16, with_cp=False):
        super().__init__()
        check_scale(self, scale)
        self.scale, self.with_cp = scale, with_cp
        self.conv_first = conv(3, channels)
        self.body = nn.ModuleList(ResidualGroup(channels, blocks, reduction) for _ in range(groups))
        self.conv_after_body, self.upsample, self.conv_last = conv(channels, channels), SteppedUpsample(channels, scale), conv(channels, 3)

    def restore(self, x):
        first = seen = self.conv_first(x)
        for group in self.body:
            seen = run(group, seen, self.with_cp)
        return self.conv_last(self.upsample(self.conv_after_body(seen) + first))
