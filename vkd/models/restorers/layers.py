"""What several restorers are made of."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def conv(in_channels, out_channels, size=3, **options):
    """A convolution that keeps the size of the map (zero padding)."""
    return nn.Conv2d(in_channels, out_channels, size, padding=size // 2, **options)


def run(block, x, with_cp=False):
    """``block(x)``; ``with_cp`` recomputes it in the backward pass instead of keeping its activations."""
    return checkpoint(block, x, use_reentrant=False) if with_cp and torch.is_grad_enabled() else block(x)


class PixelShuffleUpsample(nn.Module):
    """``[B, C, h, w]`` -> ``[B, out, s h, s w]``: a 3x3 convolution to ``out * s^2`` channels, channel ``c s^2 + i s + j`` of which becomes
    pixel ``(i, j)`` of each s x s block.
    """

    def __init__(self, channels, out_channels, scale):
        super().__init__()
        self.conv, self.shuffle = conv(channels, out_channels * scale**2), nn.PixelShuffle(scale)

    def forward(self, x):
        return self.shuffle(self.conv(x))


class SteppedUpsample(nn.Sequential):
    """EDSR's: a 3x3 convolution and a shuffle for every factor of 2 (one for 3), keeping the channels."""

    def __init__(self, channels, scale):
        steps = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}[scale]
        super().__init__(*(PixelShuffleUpsample(channels, channels, step) for step in steps))
