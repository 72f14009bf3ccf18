"""Fast Fourier convolutions: a map in two parts, one seen by small windows, one by the whole image.

Chi et al., "Fast Fourier Convolution", NeurIPS 2020; as in LaMa (Suvorov et al., WACV 2022) and GloReDi's release: reflecting borders, no
gates, no local Fourier unit.
"""

import torch
from torch import nn

from .layers import run


class FourierUnit(nn.Module):
    """``[B, C, H, W]`` -> same: a 1x1 convolution, batch norm and ReLU of the spectrum, whose channels are re0, im0, re1, im1, …; in
    float32 even under autocast.
    """

    def __init__(self, channels):
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False), nn.BatchNorm2d(2 * channels), nn.ReLU()

    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
            size, spectrum = x.shape[-2:], torch.view_as_real(torch.fft.rfft2(x, norm='ortho'))  # [B, C, H, W / 2 + 1, 2]
            spectrum = self.relu(self.norm(self.conv(spectrum.movedim(-1, 2).flatten(1, 2))))
            spectrum = torch.view_as_complex(spectrum.unflatten(1, (-1, 2)).movedim(2, -1).contiguous())
            return torch.fft.irfft2(spectrum, s=size, norm='ortho')


class SpectralTransform(nn.Module):
    """A bottleneck of half the channels around a Fourier unit with a skip."""

    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.reduce = nn.Sequential(nn.Conv2d(channels, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU())
        self.fourier, self.expand = FourierUnit(half), nn.Conv2d(half, channels, 1, bias=False)

    def forward(self, x):
        x = self.reduce(x)
        return self.expand(x + self.fourier(x))


class FFC(nn.Module):
    """Two streams ``(local [B, Cl, H, W], whole [B, Cg, H, W] or None)`` -> two, each with batch norm and ReLU.

    ``local = K_ll * l + K_gl * g`` and ``whole = K_lg * l + S(g)``, with convolutions K without bias and the spectral transform S; those of
    an absent stream are absent.

    Args:
        in_channels: of both streams of the input together.
        out_channels: of both streams of the output together.
        in_ratio: share of the whole-image stream in the input.
        out_ratio: its share in the output.
        stride: 2 halves the map (where no stream comes in that needs S).
    """

    def __init__(self, in_channels, out_channels, in_ratio, out_ratio, size=3, stride=1):
        super().__init__()
        (in_l, in_g), (out_l, out_g) = ((c - int(c * r), int(c * r)) for c, r in ((in_channels, in_ratio), (out_channels, out_ratio)))

        def conv(a, b):
            return nn.Conv2d(a, b, size, stride, size // 2, bias=False, padding_mode='reflect') if a and b else None

        self.l2l, self.l2g, self.g2l = conv(in_l, out_l), conv(in_l, out_g), conv(in_g, out_l)
        self.g2g = SpectralTransform(out_g) if in_g and out_g else None
        self.norm_l, self.norm_g = (nn.BatchNorm2d(c) if c else None for c in (out_l, out_g))
        self.relu = nn.ReLU()

    def forward(self, local, whole=None):
        def total(*terms):
            terms = [module(x) for module, x in terms if module is not None and x is not None]
            return sum(terms[1:], terms[0]) if terms else None

        l, g = total((self.l2l, local), (self.g2l, whole)), total((self.l2g, local), (self.g2g, whole))
        return tuple(None if x is None else self.relu(norm(x)) for x, norm in ((l, self.norm_l), (g, self.norm_g)))


class FFCBlock(nn.Module):
    """Two FFC units and the input; nothing after the sum."""

    def __init__(self, channels, ratio):
        super().__init__()
        self.conv1, self.conv2 = (FFC(channels, channels, ratio, ratio) for _ in range(2))

    def forward(self, local, whole):
        out = self.conv2(*self.conv1(local, whole))
        return tuple(None if y is None else x + y for x, y in zip((local, whole), out, strict=False))


class FFCBody(nn.Module):
    """``[B, C, H, W]`` -> same through blocks; channels ``0 … local - 1`` are the local stream, ``whole`` (a slice) the other."""

    def __init__(self, channels, ratio, blocks, whole=None, with_cp=False):
        super().__init__()
        self.local = channels - int(channels * ratio)
        self.whole, self.with_cp = whole or slice(self.local, channels), with_cp
        self.blocks = nn.ModuleList(FFCBlock(channels, ratio) for _ in range(blocks))

    def forward(self, x):
        def step(block):
            def one(y):
                streams = block(y[:, : self.local], y[:, self.local :])
                return torch.cat([part for part in streams if part is not None], 1)

            return one

        x = torch.cat([x[:, : self.local], x[:, self.whole]], 1)
        for block in self.blocks:
            x = run(step(block), x, self.with_cp)
        return x
