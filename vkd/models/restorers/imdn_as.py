"""IMDN for images that keep their size, such as photographs that are to become sharper."""

import torch
import torch.nn.functional as F
from torch import nn

from ...registry import MODELS
from .imdn import IMDB, ContrastGate, check_width, fuse_blocks
from .layers import PixelShuffleUpsample, conv

OVERLAP, DIVISOR = 32, 4
SMALLEST = 60  # from here on the four tiles fit in the image


def adaptive_crop(network, x):
    """``network(x)`` for a ``network`` that keeps the size of images whose sides are multiples of 4, on an image ``[B, C, H, W]`` of any
    size, to that size.

    Four overlapping tiles, one a corner, of sides that are multiples of 4, go through as one batch, and their own quarters are put
    together. Images with a side below 60, for which the tiles do not fit, are padded by their border and cropped instead (our decision; the
    source does not say).
    """
    h, w = x.shape[-2:]
    if h % DIVISOR == 0 and w % DIVISOR == 0:
        return network(x)
    if min(h, w) < SMALLEST:
        return network(F.pad(x, (0, -w % DIVISOR, 0, -h % DIVISOR), mode='replicate'))[..., :h, :w]
    (half_h, tile_h), (half_w, tile_w) = ((n // 2, (n // 2 + OVERLAP) // DIVISOR * DIVISOR) for n in (h, w))
    tiles = torch.cat([x[..., :tile_h, :tile_w], x[..., :tile_h, -tile_w:], x[..., -tile_h:, :tile_w], x[..., -tile_h:, -tile_w:]])
    a, b, c, d = network(tiles).chunk(4)
    top = torch.cat([a[..., :half_h, :half_w], b[..., :half_h, half_w - w :]], -1)
    return torch.cat([top, torch.cat([c[..., half_h - h :, :half_w], d[..., half_h - h :, half_w - w :]], -1)], -2)


@MODELS.register_module()
class IMDN_AS(nn.Module):
    """RGB in 0 to 1, ``[B, 3, H, W]`` -> the same shape, unclamped; 752,104 parameters. Two strided convolutions stand before IMDN's x4
    network.

    ``forward`` gives the next multiples of 4 where a side is none: (25, 31) becomes (28, 32). ``predict`` keeps any size by
    ``adaptive_crop``. Source: as ``IMDN``, section on any scale.

    Args:
        channels: width, a multiple of 4.
        blocks: how many IMDBs.
        with_cp: recompute blocks in the backward pass.
    """

    inner_range, min_size, scale = 1, 1, 1

    def __init__(self, channels=64, blocks=6, in_channels=3, out_channels=3, with_cp=False):
        super().__init__()
        check_width(self, channels)
        self.with_cp, self.act = with_cp, nn.LeakyReLU(0.05)
        self.conv_first = nn.Sequential(
            conv(in_channels, channels, stride=2), nn.LeakyReLU(0.05, inplace=True), conv(channels, channels, stride=2)
        )
        self.body = nn.ModuleList(IMDB(channels, ContrastGate(channels)) for _ in range(blocks))
        self.fuse, self.conv_after_body = conv(blocks * channels, channels, 1), conv(channels, channels)
        self.upsample = PixelShuffleUpsample(channels, out_channels, DIVISOR)

    def forward(self, x):
        return self.upsample(fuse_blocks(self, self.conv_first(x)))

    def predict(self, x):
        return adaptive_crop(self, x)
