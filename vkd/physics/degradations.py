"""Degradations beside the bicubic one: blur, noise and JPEG compression, each a function of an image and of a torch generator."""

import cv2
import numpy as np
import torch

from ..errors import UserError
from .resize import imresize


def gaussian_kernel(sigma):
    """Weights ``[2r + 1]`` of a Gaussian of standard deviation ``sigma`` pixels, cut off at ``r = ceil(3 sigma)``; they sum to 1."""
    radius = int(np.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-12)) ** 2)
    return weights / weights.sum()


def blur(image, sigma):
    """``image [H, W, C]`` convolved with an isotropic Gaussian, mirrored borders, to its own type; ``sigma`` 0 leaves it."""
    if sigma == 0:
        return image
    kernel = gaussian_kernel(sigma)
    out = cv2.sepFilter2D(image.astype(np.float64), -1, kernel, kernel, borderType=cv2.BORDER_REFLECT)
    return _to_type(out.reshape(image.shape), image.dtype)


def add_noise(image, sigma, generator=None):
    """``image [H, W, C]`` plus white Gaussian noise of standard deviation ``sigma`` (on 0 to 255), to its own type; drawn from
    ``generator`` (torch; the global stream by default).
    """
    peak = np.iinfo(image.dtype).max if image.dtype.kind == 'u' else 255
    noise = torch.randn(image.shape, generator=generator, dtype=torch.float64).numpy()
    return _to_type(image + noise * (sigma * peak / 255), image.dtype)


def jpeg(image, quality):
    """uint8 ``image [H, W, 3]`` (RGB) compressed as a JPEG of ``quality`` (1 to 100) and read back. Raises UserError for another type."""
    if image.dtype != np.uint8:
        raise UserError(f'jpeg: an image of type {image.dtype} was given; JPEG holds 8 bits, give uint8.')
    data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def degrade(image, scale, blur_sigma=(0.2, 3.0), noise_sigma=(0.0, 25.0), jpeg_quality=(30, 95), generator=None):
    """A low-resolution image of uint8 ``image [H, W, 3]`` (RGB): blurred, reduced bicubically by ``scale``, noisy, compressed; each
    strength is drawn uniformly from its range.

    The order is that of the classical model y = (x * k) reduced + n, with JPEG at the end (Zhang et al., "Designing a Practical Degradation
    Model", ICCV 2021, sec. 3.1); the default ranges are our decision. None leaves a step out. ``generator``: a torch generator; the same
    one, image and options give the same result.
    """

    def draw(low, high):
        return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))

    image = blur(image, draw(*blur_sigma)) if blur_sigma else image
    image = imresize(image, 1 / scale) if scale != 1 else image
    image = add_noise(image, draw(*noise_sigma), generator) if noise_sigma else image
    return jpeg(image, round(draw(*jpeg_quality))) if jpeg_quality else image


def _to_type(values, dtype):
    return np.clip(np.floor(values + 0.5), 0, np.iinfo(dtype).max).astype(dtype) if dtype.kind == 'u' else values.astype(dtype)
