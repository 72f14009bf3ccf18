"""The smallest of IMDN's family."""

from torch import nn

from ...registry import MODELS
from .imdn import IMDB, check_scale, check_width
from .layers import PixelShuffleUpsample, conv, run


@MODELS.register_module()
class IMDN_RTC(nn.Module):
    """RGB in 0 to 1, ``[B, 3, H, W]`` -> ``[B, 3, s H, s W]``, unclamped; 20,190 parameters at x2. Blocks without a gate, in sequence, a
    1x1 convolution, and a long skip.

    Args:
        scale: 2 in the source; 3, 4 and 8 are ours.
        channels: width, a multiple of 4.
        blocks: how many.
        with_cp: recompute blocks in the backward pass.
    """

    inner_range, min_size = 1, 1

    def __init__(self, scale=2, channels=12, blocks=5, in_channels=3, out_channels=3, with_cp=False):
        super().__init__()
        check_scale(self, scale)
        check_width(self, channels)
        self.scale, self.with_cp = scale, with_cp
        self.conv_first = conv(in_channels, channels)
        self.body = nn.ModuleList(IMDB(channels) for _ in range(blocks))
        self.conv_after_body, self.upsample = conv(channels, channels, 1), PixelShuffleUpsample(channels, out_channels, scale)

    def forward(self, x):
        first = seen = self.conv_first(x)
        for block in self.body:
            seen = run(block, seen, self.with_cp)
        return self.upsample(self.conv_after_body(seen) + first)
