"""The encoder and decoder of GloReDi.

Li et al., "Learning to Distill Global Representation for Sparse-View CT", ICCV 2023; the definition is that of the authors' code
(longzilicart/GloReDi, commit b412cae, MIT).
"""

import torch
from torch import nn

from ...errors import UserError
from ...registry import MODELS
from .ffc import FFC, FFCBody

RATIO = 0.75  # of the channels see the whole image


class Encoder(nn.Module):
    """``[B, 1, H, W]`` -> the global representation ``[B, 4 width, H / 4, W / 4]``, its local stream first."""

    def __init__(self, width=64, blocks=7, with_cp=False):
        super().__init__()
        self.stem = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(1, width, 7, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.down1, self.down2 = FFC(width, 2 * width, 0, 0, stride=2), FFC(2 * width, 4 * width, 0, RATIO, stride=2)
        self.body = FFCBody(4 * width, RATIO, blocks, with_cp=with_cp)

    def forward(self, x):
        local, whole = self.down2(*self.down1(self.stem(x)))
        return self.body(torch.cat([local, whole], 1))


class Decoder(nn.Module):
    """The representation -> attenuation ``[B, 1, H, W]``, in 0 to 1 by a sigmoid.

    Args:
        residual: gives what is to be added to the input, without bounds, and begins at 0.
        legacy_split: takes the first three quarters of the channels for the whole-image stream, as the release does, so that the last
            quarter is never read; else the last three quarters.
    """

    def __init__(self, width=64, blocks=2, legacy_split=False, residual=False, with_cp=False):
        super().__init__()
        self.body = FFCBody(4 * width, RATIO, blocks, slice(0, int(4 * width * RATIO)) if legacy_split else None, with_cp)
        self.up = nn.Sequential(
            *(
                layer
                for c in (4 * width, 2 * width)
                for layer in (nn.ConvTranspose2d(c, c // 2, 3, 2, 1, 1), nn.BatchNorm2d(c // 2), nn.ReLU())
            )
        )
        self.last, self.residual = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, 1, 7)), residual
        if residual:
            for parameter in self.last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, z):
        out = self.last(self.up(self.body(z)))
        return out if self.residual else out.sigmoid()


@MODELS.register_module()
class GloReNet(nn.Module):
    """FBP of few views -> image, both attenuation in 1/cm, ``[B, 1, H, W]`` with sides of 4 k; ``decoder(encoder(x))``.

    The defaults are the paper's network: 5,032,768 parameters of the encoder and 1,703,809 of the decoder. Taps: ``encoder`` (the global
    representation ``[B, 4 width, H / 4, W / 4]``), ``decoder``.

    Args:
        width: channels at full resolution, a multiple of 2.
        blocks: FFC blocks of ``(encoder, decoder)``.
        legacy_split: see Decoder.
        residual: the decoder corrects the input, where the paper's network draws the slice itself (our decision, for short runs: it begins
            at the back-projection).
        with_cp: recompute blocks in the backward pass, which moves the statistics of batch norm twice.

    Raises UserError for a width that the streams do not divide, or an image whose sides 4 does not divide.
    """

    channels, divisor, min_size = 1, 4, 8  # reflecting borders need more than their own width

    def __init__(self, width=64, blocks=(7, 2), legacy_split=False, residual=False, with_cp=False):
        super().__init__()
        if width < 2 or width % 2:
            raise UserError(f'GloReNet: width is {width}; its streams and their halves need a multiple of 2.')
        self.encoder, self.decoder = Encoder(width, blocks[0], with_cp), Decoder(width, blocks[1], legacy_split, residual, with_cp)

    def forward(self, x):
        if x.shape[-2] % self.divisor or x.shape[-1] % self.divisor:
            raise UserError(
                f'GloReNet: an image of {x.shape[-2]}x{x.shape[-1]} (height x width) was given, but it halves maps twice; resize or pad it '
                f'to multiples of {self.divisor}.'
            )
        out = self.decoder(self.encoder(x))
        return x + out if self.decoder.residual else out
