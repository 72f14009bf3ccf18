"""Computed tomography with a flat detector in plain PyTorch: line integrals of an image, and filtered back-projection.

One coordinate system for both: a pixel is 1 wide, the rotation centre is the middle of the image, ``x`` runs along columns, ``y`` along
rows. View ``k`` has the angle ``k * arc / views``; its detector runs along ``(cos, sin)`` and its rays along ``(-sin, cos)``. A ray is
named by where it meets the detector's direction *at the rotation centre*, so parallel beams are the limit of a source that is far away, and
no formula below knows the difference.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from ..errors import UserError, choice

WEIGHTS = 'iso', 'textbook'


@dataclass(frozen=True)
class Geometry:
    """A circular scan of an image.

    Attributes:
        size: ``(H, W)`` of the image in pixels; a number stands for a square.
        views: angles, evenly spaced, the first at 0 and none at the end of the arc.
        bins: cells of the detector.
        pitch: width of a cell in pixels, as it appears at the rotation centre (on the detector itself it is larger by the magnification).
        source: distance from the source to the rotation centre in pixels; ``inf`` makes the rays parallel.
        arc: degrees: 360, or 180 for parallel rays.
        pixel_cm: side of a pixel in cm; turns line integrals of attenuation (1/cm) into nepers, which counts of photons depend on.
        truncated: True allows a detector too short to see the corners of the image from every angle.

    Raises UserError for numbers that are no geometry, a source within the image, or, unless ``truncated``, pixels that some view does not
    see.
    """

    size: tuple = (256, 256)
    views: int = 720
    bins: int = 672
    pitch: float = 1.0
    source: float = 1075.0
    arc: float = 360.0
    pixel_cm: float = 0.16
    truncated: bool = False

    def __post_init__(self):
        size = self.size if isinstance(self.size, (tuple, list)) else (self.size, self.size)
        object.__setattr__(self, 'size', tuple(int(n) for n in size))
        if len(self.size) != 2 or min(*self.size, self.views, self.bins) < 1 or min(self.pitch, self.source, self.pixel_cm) <= 0:
            raise UserError(f'Geometry {self}: size is (H, W), and all numbers are above 0; fix it.')
        if self.arc != 360 and not (self.arc == 180 and self.parallel):
            raise UserError(
                f'Geometry: an arc of {self.arc} degrees was given; a scan is of 360, or of 180 with parallel rays (source=inf).'
            )
        if self.source <= self.radius:
            raise UserError(
                f'Geometry: the source is {self.source} pixels from the centre, within an image of {self.size[0]}x{self.size[1]}, whose '
                f'corners are {self.radius:.1f} away; move it out.'
            )
        if not self.truncated and (hidden := self.hidden_pixels()):
            raise UserError(
                f'Geometry: {hidden} corner pixels of {self.size[0]}x{self.size[1]} are not seen from every angle (a detector of '
                f'{self.bins} cells of {self.pitch} reaches {self.reach:.1f} pixels from the '
                'centre); give more bins, a wider pitch or a smaller image, or truncated=True to accept it.'
            )

    @property
    def parallel(self):
        """Whether its rays are parallel: the source is infinitely far away."""
        return math.isinf(self.source)

    @property
    def radius(self):
        """Distance from the centre to the farthest pixel centre."""
        return math.hypot(*((n - 1) / 2 for n in self.size))

    @property
    def reach(self):
        """Radius, in pixels, of the disc that every view sees: the distance of the outermost ray to the centre."""
        edge = (self.bins - 1) / 2 * self.pitch
        return edge / math.hypot(1, edge / self.source)

    def hidden_pixels(self):
        """How many pixel centres lie outside the disc that every view sees."""
        y, x = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in self.size)
        return int((y[:, None].square() + x.square() > self.reach**2 + 1e-9).sum())

    def with_views(self, views):
        """The same scanner with another number of views."""
        return replace(self, views=views)

    def nested(self, views):
        """Whether the angles of a scan of ``views`` are among those of this one."""
        return self.views % views == 0

    def turns(self):
        """``(groups, views of each group, quarter turns from one group to the next)``. A view of a later group equals one of the first
        group on an image that is rotated by a multiple of 90 degrees, so the rays are computed for the first group only.
        """
        quarter = self.views * 90 / self.arc
        if quarter.is_integer() and self.size[0] == self.size[1]:
            return round(self.arc / 90), int(quarter), 1
        return (2, self.views // 2, 2) if self.arc == 360 and self.views % 2 == 0 else (1, self.views, 0)


def subsample(sinogram, views):
    """``[..., V, bins]`` -> every ``V / views``-th view. Raises UserError where ``views`` does not divide V."""
    if sinogram.shape[-2] % views:
        raise UserError(f'A sinogram of {sinogram.shape[-2]} views holds no {views} evenly spaced ones; project anew, or choose a divisor.')
    return sinogram[..., :: sinogram.shape[-2] // views, :]


def project(image, geometry):
    """Line integrals of ``image [B, 1, H, W]`` -> sinogram ``[B, 1, views, bins]``, in units of the image times pixels; float32 (float64
    stays).

    Sampled bilinearly at steps of one pixel in depth; the image is 0 outside. Linear, and differentiable by autograd, whose gradient is the
    exact transpose; the backward pass works its samples out again, so that memory is that of some views at a time.

    Raises UserError for an image of another size than the geometry's.
    """
    _check(image, 'an image', geometry.size)
    with torch.autocast(image.device.type, enabled=False):
        image = _floating(image)
        number, group, quarters = geometry.turns()
        # [1, turns * B, H, W]
        turned = torch.cat([torch.rot90(image, quarters * i, (2, 3)) for i in range(number)], 1).transpose(0, 1).flatten(0, 1)[None]
        lateral, depth, length = _rays(geometry, image.device, image.dtype)
        step = _chunk(image.device, len(lateral) * len(depth) * (turned.shape[1] + 2))
        parts = []
        for first in range(0, group, step):
            angles = _angles(geometry, image.device)[first : min(first + step, group)]
            parts.append(_run(lambda x, a=angles: _sample_rays(x, a, geometry, lateral, depth), turned))
        out = torch.cat(parts, 1) * length
        before = (geometry.bins - len(lateral)) // 2
        out = F.pad(out, (before, geometry.bins - len(lateral) - before))
        return out.unflatten(0, (number, len(image))).transpose(0, 1).flatten(1, 2)[:, None]


def fbp(sinogram, geometry, weight='iso'):
    """Filtered back-projection of ``[B, 1, views, bins]`` -> image ``[B, 1, H, W]``, in units of the sinogram over pixels; float32 (float64
    stays), linear and differentiable.

    The ramp is the transform of its band-limited kernel (Kak and Slaney, "Principles of Computerized Tomographic Imaging", 1988, sec. 3.3),
    zero-padded to a power of two of twice the bins or more; the detector is read by linear interpolation and is 0 outside.

    Args:
        weight: 'textbook' weighs rays by the cosine of their angle and pixels by ``1 / U^2`` (there, eq. 3.105 and on); 'iso' leaves out
            the cosine and takes ``1 / U``, as torch-radon does, which is an approximation (a disc of 0.192 becomes 0.1916). ``U = 1 + depth
            / source``; both are the same for parallel rays.

    Raises UserError for an unknown weight, or a sinogram that is not the geometry's.
    """
    choice('fbp', 'weight', weight, WEIGHTS)
    _check(sinogram, 'a sinogram', (geometry.views, geometry.bins))
    with torch.autocast(sinogram.device.type, enabled=False):
        x = filter_sinogram(_floating(sinogram), geometry, weight)
        number, group, quarters = geometry.turns()
        x = x[:, 0].unflatten(1, (number, group)).transpose(0, 1).flatten(0, 1)[None]  # [1, turns * B, group, bins]
        step, total = _chunk(x.device, geometry.size[0] * geometry.size[1] * (x.shape[1] + 2)), None
        for first in range(0, group, step):
            rows = x[:, :, first : first + step]
            angles = _angles(geometry, x.device)[first : first + rows.shape[2]]
            part = _run(lambda r, a=angles: _smear(r, a, geometry, weight), rows)
            total = part if total is None else total + part
        total = total.unflatten(0, (number, len(sinogram)))
        return sum(torch.rot90(total[i], -quarters * i, (1, 2)) for i in range(number))[:, None]


def filter_sinogram(sinogram, geometry, weight='textbook'):
    """``[..., views, bins]`` convolved with the ramp, and scaled so that its back-projection is a plain sum over views."""
    bins, pitch = geometry.bins, geometry.pitch
    if weight == 'textbook' and not geometry.parallel:
        sinogram = sinogram / torch.hypot(
            torch.ones((), dtype=sinogram.dtype, device=sinogram.device), _bins(geometry, sinogram.device, sinogram.dtype) / geometry.source
        )
    padded = 2 ** math.ceil(math.log2(2 * bins))
    response = ramp(padded).to(sinogram.device, sinogram.dtype) * (math.pi / (geometry.views * pitch))
    return torch.fft.irfft(torch.fft.rfft(sinogram, padded) * response, padded)[..., :bins]


@lru_cache(maxsize=16)
def ramp(length):
    """Frequency response ``[length / 2 + 1]`` of the ramp for samples one apart: real transform of ``h[0] = 1/4``, ``h[odd n] = -1 / (pi
    n)^2``, else 0; float64.
    """
    n = torch.arange(length, dtype=torch.float64)
    n = torch.minimum(n, length - n)
    kernel = torch.where(n % 2 == 1, -1 / (math.pi * n.clamp(min=1)) ** 2, 0.0)
    kernel[0] = 0.25
    return torch.fft.rfft(kernel).real


# -- what both share -------------------------------------------------------------------------------------------------------
def _check(x, what, wanted):
    if x.dim() != 4 or x.shape[1] != 1 or tuple(x.shape[2:]) != tuple(wanted):
        h, w = wanted
        raise UserError(
            f'The geometry is of {what} of {h}x{w}, [B, 1, {h}, {w}], but {tuple(x.shape)} was given; resize it, or fix the geometry.'
        )


def _floating(x):
    return x if x.dtype == torch.float64 else x.float()


def _run(function, x):
    return checkpoint(function, x, use_reentrant=False) if torch.is_grad_enabled() and x.requires_grad else function(x)


def _chunk(device, values):
    """How many views are worked on at a time if each takes ``values`` numbers: as many as fit into a processor's cache, or fill a GPU."""
    return max(1, (2**19 if device.type == 'cpu' else 2**26) // values)


def _angles(geometry, device):
    return torch.arange(geometry.views, dtype=torch.float64, device=device) * math.radians(geometry.arc / geometry.views)


def _bins(geometry, device, dtype):
    return (torch.arange(geometry.bins, dtype=dtype, device=device) - (geometry.bins - 1) / 2) * geometry.pitch


def _rays(geometry, device, dtype):
    """``(lateral [n], depth [m], length [n])``: positions of the bins whose rays can meet the image, depths of the samples along a ray,
    and the distance between two samples.
    """
    radius = math.hypot(*geometry.size) / 2 + 1  # bilinear sampling reaches a pixel beyond the outermost centre
    lateral = _bins(geometry, device, torch.float64)
    slope = torch.hypot(torch.ones_like(lateral), lateral / geometry.source)
    kept = int((lateral.abs() / slope <= radius).sum())
    if kept % 2 != geometry.bins % 2:
        kept += 1
    middle = slice((geometry.bins - kept) // 2, (geometry.bins + kept) // 2)
    steps = math.ceil(2 * radius)
    return lateral[middle].to(dtype), (torch.arange(steps, dtype=dtype, device=device) - (steps - 1) / 2), slope[middle].to(dtype)


def _sample_rays(image, angles, geometry, lateral, depth):
    """Sums of ``image [1, C, H, W]`` along the rays of some views -> ``[C, views, bins]``."""
    height, width = geometry.size
    across = lateral[:, None] * (1 + depth / geometry.source)  # the rays of a fan spread with depth
    cos, sin = (f(angles).to(image.dtype)[:, None, None] for f in (torch.cos, torch.sin))
    grid = torch.empty(len(angles), *across.shape, 2, dtype=image.dtype, device=image.device)
    torch.add(across * cos * (2 / width), depth * sin, alpha=-2 / width, out=grid[..., 0])
    torch.add(across * sin * (2 / height), depth * cos, alpha=2 / height, out=grid[..., 1])
    out = F.grid_sample(image, grid.flatten(0, 1)[None], mode='bilinear', padding_mode='zeros', align_corners=False)
    return out[0].sum(2).unflatten(1, (len(angles), -1))


def _smear(rows, angles, geometry, weight):
    """Back-projection of ``rows [1, C, views, bins]`` of some views, summed -> ``[C, H, W]``."""
    height, width = geometry.size
    y, x = (torch.arange(n, dtype=rows.dtype, device=rows.device) - (n - 1) / 2 for n in (height, width))
    y = y[:, None]
    cos, sin = (f(angles).to(rows.dtype)[:, None, None] for f in (torch.cos, torch.sin))
    count, bins = rows.shape[2:]
    grid = torch.empty(count, height, width, 2, dtype=rows.dtype, device=rows.device)
    across = x * cos + y * sin
    scale = 2 / (bins * geometry.pitch)
    if geometry.parallel:
        torch.mul(across, scale, out=grid[..., 0])
    else:
        far = 1 / (1 + (y * cos - x * sin) / geometry.source)  # 1 / U
        torch.mul(across.mul_(far), scale, out=grid[..., 0])
    grid[..., 1] = ((2 * torch.arange(count, dtype=rows.dtype, device=rows.device) + 1) / count - 1)[:, None, None]
    out = F.grid_sample(rows, grid.flatten(0, 1)[None], mode='bilinear', padding_mode='zeros', align_corners=False)[0].unflatten(
        1, (count, height)
    )
    if not geometry.parallel:
        out = out * (far if weight == 'iso' else far.square())
    return out.sum(1)
