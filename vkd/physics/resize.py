"""MATLAB's ``imresize``: what the low-resolution images of super-resolution benchmarks are made with.

Public documentation of MATLAB's ``imresize`` and Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981 (a = -0.5).
Integer images are worked on one axis at a time: the result of the first is rounded (half up) and clipped before the second, as MATLAB does;
a resize in one go differs by one grey level in a tenth of the values.
"""

from functools import lru_cache
from math import ceil

import numpy as np

from ..errors import UserError


def cubic(x):
    """Keys' kernel with a = -0.5, of distances ``x`` in pixels; 0 beyond 2."""
    x = np.abs(x)
    return np.where(x <= 1, (1.5 * x - 2.5) * x * x + 1, np.where(x <= 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0.0))


@lru_cache(maxsize=256)
def contributions(length, out_length, scale):
    """``(weights [out, P], indices [out, P])`` of each output place along an axis of ``length`` pixels; borders are mirrored, weights sum
    to 1; treat both as read-only.

    A reduction (``scale`` < 1) widens the kernel by 1 / scale.
    """
    narrow = min(scale, 1.0)
    width = 4 / narrow
    centre = (np.arange(out_length) + 0.5) / scale - 0.5
    indices = np.floor(centre - width / 2).astype(np.int64)[:, None] + np.arange(ceil(width) + 2)
    weights = narrow * cubic(narrow * (centre[:, None] - indices))
    weights /= weights.sum(1, keepdims=True)
    indices = np.mod(indices, 2 * length)
    indices = np.where(indices < length, indices, 2 * length - 1 - indices)
    used = (weights != 0).any(0)
    return weights[:, used], indices[:, used]


def _resize_rows(image, weights, indices):
    """``image [H, …]`` -> ``[out, …]``, float64."""
    out = np.zeros((len(weights), *image.shape[1:]))
    shape = (-1, *[1] * (image.ndim - 1))
    for w, i in zip(weights.T, indices.T, strict=True):
        out += w.reshape(shape) * image[i]
    return out


def imresize(image, scale=None, size=None):
    """``image`` resized bicubically as MATLAB's ``imresize`` does, to its type.

    Args:
        image: ``[H, W]`` or ``[H, W, C]``; uint8 and uint16 are rounded half up and clipped after each axis, floating types are not.
        scale: factor of both axes; the output has ``ceil(scale * H)`` rows.
        size: ``(H, W)`` instead, each axis with a factor of its own.

    Raises:
        UserError: unless exactly one of ``scale`` and ``size`` is given and positive, for an empty image, or for a type that is neither
            uint8, uint16 nor floating.
    """
    image = np.asarray(image)
    if (scale is None) == (size is None) or min(size or (scale,)) <= 0:
        raise UserError(f'imresize: scale is {scale} and size is {size}; give one of the two, above zero.')
    if image.ndim not in (2, 3) or not image.size:
        raise UserError(f'imresize: an image of shape {image.shape} was given; give [H, W] or [H, W, C] with pixels in it.')
    if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != 'f':
        raise UserError(f'imresize: an image of type {image.dtype} was given; give uint8, uint16 or a floating type.')
    sizes = [ceil(scale * n - 1e-9) for n in image.shape[:2]] if size is None else [int(n) for n in size]
    scales = [float(scale)] * 2 if size is None else [n / m for n, m in zip(sizes, image.shape, strict=False)]
    out = image
    for axis in sorted((0, 1), key=lambda a: scales[a]):  # MATLAB takes the smaller factor first, rows before columns
        turned = np.moveaxis(out, axis, 0)
        turned = _resize_rows(turned, *contributions(image.shape[axis], sizes[axis], scales[axis]))
        if image.dtype.kind == 'u':
            turned = np.clip(np.floor(turned + 0.5), 0, np.iinfo(image.dtype).max)
        out = np.moveaxis(turned.astype(image.dtype), 0, axis)
    return np.ascontiguousarray(out)


def mod_crop(image, scale):
    """``image [H, W, …]`` without the last rows and columns that ``scale`` does not divide; a view."""
    h, w = (n - n % scale for n in image.shape[:2])
    return image[:h, :w]
