"""Fifteen common corruptions of images at five severities, drawn from the image itself and a seed, so that they are the same in every run
and in any order.

The kinds and the strengths are those of Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (ICLR 2019); the drawing is our own, on numpy and OpenCV, since the library of that benchmark does not run on numpy 2. Frost
is grown by noise where the benchmark pastes photographs, fog is spectral noise, and glass moves pixels all at once: numbers are comparable
with each other and not with published ones. Images are BGR; labels are left as they are, also under elastic_transform, as in the benchmarks
of segmentation.
"""

import hashlib
import zlib

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from ..errors import UserError, choice
from ..registry import TRANSFORMS

#: strengths of severities 1 to 5
LEVELS = dict(
    gaussian_noise=(0.08, 0.12, 0.18, 0.26, 0.38),  # standard deviation, of images from 0 to 1
    shot_noise=(60, 25, 12, 5, 3),  # photons of white
    impulse_noise=(0.03, 0.06, 0.09, 0.17, 0.27),  # share of the values
    defocus_blur=(3, 4, 6, 8, 10),  # radius in pixels
    glass_blur=((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),  # blur, farthest move, repeats
    motion_blur=((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),  # reach, standard deviation
    zoom_blur=((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),  # up to, step
    snow=(
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    frost=((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),  # share of the image, of the ice
    fog=((1.5, 2), (2.0, 2), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),  # amount, how fast fine structure fades
    brightness=(0.1, 0.2, 0.3, 0.4, 0.5),
    contrast=(0.4, 0.3, 0.2, 0.1, 0.05),
    elastic_transform=(12.5, 16.25, 21.25, 25.0, 30.0),  # strength
    pixelate=(0.6, 0.5, 0.4, 0.3, 0.25),  # share of the sides
    jpeg_compression=(25, 18, 15, 10, 7),
)  # quality
CORRUPTIONS = tuple(LEVELS)


def corrupt(image, name, severity, seed=0):
    """A corrupted copy of ``image``, uint8 ``[H, W, 3]``, BGR.

    Args:
        name: one of CORRUPTIONS.
        severity: 1 to 5.
        seed: another draw of it.

    Raises UserError for anything else.
    """
    choice('Corrupt', 'name', name, CORRUPTIONS)
    if severity not in (1, 2, 3, 4, 5):
        raise UserError(f'Corruption {name!r}: severity is {severity!r}; give 1, 2, 3, 4 or 5.')
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UserError(
            f'Corruption {name!r}: the image is {image.dtype} {image.shape}; corrupt a uint8 [H, W, 3] image, before it is normalised.'
        )
    content = int.from_bytes(hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()[:8], 'little')
    random = np.random.default_rng([seed, zlib.crc32(name.encode()), severity, content])
    out = _DRAW[name](image.astype(np.float32) / 255, LEVELS[name][severity - 1], random)
    return np.rint(np.clip(out, 0, 1) * 255).astype(np.uint8)


# -- helpers ---------------------------------------------------------------------------------------------------------------
def _blurred(x, sigma):
    return cv2.GaussianBlur(x, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)


def _zoomed(x, factor):
    """The middle of ``x``, ``factor`` times as large, at the same size."""
    h, w = x.shape[:2]
    turn = np.array([[factor, 0, (1 - factor) * (w - 1) / 2], [0, factor, (1 - factor) * (h - 1) / 2]], np.float64)
    return cv2.warpAffine(x, turn, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _streak(reach, sigma, angle):
    """A kernel: weights that fade from its middle along one direction (degrees)."""
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    steps = np.linspace(0, reach, 4 * reach + 1)
    rows, columns = reach - steps * np.sin(np.deg2rad(angle)), reach + steps * np.cos(np.deg2rad(angle))
    np.add.at(kernel, (np.rint(rows).astype(int), np.rint(columns).astype(int)), np.exp(-(steps**2) / (2 * sigma**2)))
    return kernel / kernel.sum()


def _smeared(x, reach, sigma, angle):
    return cv2.filter2D(x, -1, _streak(reach, sigma, angle), borderType=cv2.BORDER_REFLECT_101)


def _clouds(shape, fade, random):
    """Noise ``[h, w]`` from 0 to 1 whose octaves weaken by ``fade`` each: the larger, the smoother."""
    side = 1 << int(max(shape) - 1).bit_length()
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * side
    frequency[0, 0] = np.inf  # no mean
    noise = np.fft.irfft2(np.fft.rfft2(random.standard_normal((side, side))) * frequency ** -(1 + np.log2(fade)), s=(side, side))[
        : shape[0], : shape[1]
    ].astype(np.float32)
    return (noise - noise.min()) / (np.ptp(noise) + 1e-12)


# -- one function a corruption: image from 0 to 1, its strength, a generator -------------------------------------------------
def _gaussian_noise(x, c, random):
    return x + c * random.standard_normal(x.shape, dtype=np.float32)


def _shot_noise(x, c, random):
    return random.poisson(x * c) / c


def _impulse_noise(x, c, random):
    draw = random.random(x.shape, dtype=np.float32)
    return np.where(draw < c / 2, 0, np.where(draw < c, 1, x))


def _defocus_blur(x, c, random):
    away = np.hypot(*np.mgrid[-c : c + 1, -c : c + 1]).astype(np.float32)
    disk = np.clip(c + 0.5 - away, 0, 1)  # its edge is as soft as a pixel
    return cv2.filter2D(x, -1, disk / disk.sum(), borderType=cv2.BORDER_REFLECT_101)


def _glass_blur(x, c, random):
    sigma, most, repeats = c
    h, w = x.shape[:2]
    x = _blurred(x, sigma)
    for _ in range(repeats):
        rows, columns = (
            np.clip(grid + random.integers(-most, most + 1, (h, w)), 0, size - 1)
            for grid, size in zip(np.mgrid[:h, :w], (h, w), strict=False)
        )
        x = x[rows, columns]
    return _blurred(x, sigma)


def _motion_blur(x, c, random):
    return _smeared(x, *c, random.uniform(-45, 45))


def _zoom_blur(x, c, random):
    factors = np.arange(1, *c)
    return (x + sum(_zoomed(x, f) for f in factors)) / (len(factors) + 1)


def _snow(x, c, random):
    mean, deviation, zoom, threshold, reach, sigma, share = c
    flakes = _zoomed((mean + deviation * random.standard_normal(x.shape[:2])).astype(np.float32), zoom)
    flakes = np.clip(np.where(flakes < threshold, 0, flakes), 0, 1)
    flakes = _smeared(flakes, reach, sigma, random.uniform(-135, -45))[..., None]
    pale = np.maximum(x, cv2.cvtColor(x, cv2.COLOR_BGR2GRAY)[..., None] * 1.5 + 0.5)
    return share * x + (1 - share) * pale + flakes + flakes[::-1, ::-1]


def _frost(x, c, random):
    # crystals: thin ridges where noise crosses its middle, over a glaze; bluish white
    ridges = sum((1 - np.abs(2 * _clouds(x.shape[:2], fade, random) - 1)) ** 6 for fade in (1.5, 1.8, 2.2)) / 3
    glaze = _clouds(x.shape[:2], 2.2, random)
    ice = np.clip(0.75 * ridges / (ridges.max() + 1e-6) + 0.45 * glaze, 0, 1)[..., None] * np.array([1.0, 0.96, 0.9], np.float32)
    return c[0] * x + c[1] * ice


def _fog(x, c, random):
    most = x.max()
    return (x + c[0] * _clouds(x.shape[:2], c[1], random)[..., None]) * most / (most + c[0])


def _brightness(x, c, random):
    hsv = cv2.cvtColor(x, cv2.COLOR_BGR2HSV)
    hsv[..., 2] = np.clip(hsv[..., 2] + c, 0, 1)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def _contrast(x, c, random):
    mean = x.mean((0, 1), keepdims=True)
    return (x - mean) * c + mean


def _elastic_transform(x, c, random):
    h, w = x.shape[:2]
    moves = [
        c
        * cv2.GaussianBlur(
            random.uniform(-0.005 * h, 0.005 * h, (h, w)).astype(np.float32),
            (0, 0),
            0.01 * w,
            sigmaY=0.01 * h,
            borderType=cv2.BORDER_REFLECT_101,
        )
        for _ in range(2)
    ]
    rows, columns = np.mgrid[:h, :w].astype(np.float32)
    return cv2.remap(x, columns + moves[0], rows + moves[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _pixelate(x, c, random):
    h, w = x.shape[:2]
    small = cv2.resize(x, (max(1, int(w * c)), max(1, int(h * c))), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_NEAREST)


def _jpeg_compression(x, c, random):
    return cv2.imdecode(
        cv2.imencode('.jpg', np.rint(x * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, c])[1], cv2.IMREAD_COLOR
    ) / np.float32(255)


_DRAW = dict(
    gaussian_noise=_gaussian_noise,
    shot_noise=_shot_noise,
    impulse_noise=_impulse_noise,
    defocus_blur=_defocus_blur,
    glass_blur=_glass_blur,
    motion_blur=_motion_blur,
    zoom_blur=_zoom_blur,
    snow=_snow,
    frost=_frost,
    fog=_fog,
    brightness=_brightness,
    contrast=_contrast,
    elastic_transform=_elastic_transform,
    pixelate=_pixelate,
    jpeg_compression=_jpeg_compression,
)


@TRANSFORMS.register_module()
class Corrupt(BaseTransform):
    """``corrupt`` as a step of a pipeline, right behind the one that loads the image, at the image's own size.

    Args:
        name: one of CORRUPTIONS.
        severity: 1 to 5.
        seed: another draw.
    """

    def __init__(self, name, severity=3, seed=0):
        corrupt(np.zeros((32, 32, 3), np.uint8), name, severity, seed)  # a wrong name shows when the pipeline is built
        self.name, self.severity, self.seed = name, severity, seed

    def transform(self, results):
        results['img'] = corrupt(results['img'], self.name, self.severity, self.seed)
        return results
