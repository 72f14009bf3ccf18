"""Pictures drawn from a seed: super-resolution without a download.

They hold what interpolation loses: edges of all directions, gratings near the limit of resolution, writing, thin lines and fans, over
    smooth shades and grain.
"""

from functools import lru_cache

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset

from ..registry import DATASETS, TRANSFORMS

_SPLITS = dict(train=0, val=1, test=2)
_OVER = 4  # drawn this much larger and averaged, so that edges are those of a camera


@lru_cache(maxsize=1024)
def draw_picture(seed, height=96, width=96):
    """RGB uint8 ``[height, width, 3]`` from ``seed`` (an int or a tuple of ints); treat it as read-only."""
    rng = np.random.default_rng(seed)
    h, w = height * _OVER, width * _OVER
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    slope = rng.uniform(-0.5, 0.5, (2, 3)) * 90 / max(h, w)
    image = rng.uniform(60, 190, 3).astype(np.float32) + y[..., None] * slope[0] + x[..., None] * slope[1]

    def colour():
        return tuple(float(c) for c in rng.uniform(0, 255, 3))

    def spot():
        return int(rng.uniform(0, w)), int(rng.uniform(0, h))

    def grating():
        angle, period = rng.uniform(0, np.pi), rng.uniform(3, 12) * _OVER
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)[..., None]
        mask = np.zeros((h, w), np.uint8)
        cv2.ellipse(
            mask, spot(), (int(rng.uniform(8, 26) * _OVER), int(rng.uniform(8, 26) * _OVER)), float(rng.uniform(0, 180)), 0, 360, 1, -1
        )
        shade = np.asarray(colour(), np.float32)
        image[mask > 0] = (shade + np.sign(wave) * rng.uniform(20, 70) if rng.random() < 0.5 else shade + wave * rng.uniform(20, 70))[
            mask > 0
        ]

    def polygon():
        centre, count = np.array(spot()), rng.integers(3, 8)
        angles = np.sort(rng.uniform(0, 2 * np.pi, count))
        points = centre + (rng.uniform(5, 26, (count, 1)) * _OVER) * np.stack([np.cos(angles), np.sin(angles)], 1)
        cv2.fillPoly(image, [points.astype(np.int32)], colour())

    def fan():
        centre, shade = spot(), colour()
        for angle in np.linspace(0, rng.uniform(0.5, 2) * np.pi, rng.integers(8, 24)):
            end = int(centre[0] + 40 * _OVER * np.cos(angle)), int(centre[1] + 40 * _OVER * np.sin(angle))
            cv2.line(image, centre, end, shade, max(int(rng.uniform(0.4, 1.5) * _OVER), 1))

    def writing():
        text = ''.join(rng.choice(list('ABCDEFGHKLMNPRSTUVXYZabdeghkmnpqrsty0123456789'), rng.integers(3, 9)))
        mask = np.zeros((h, w), np.uint8)  # newer OpenCV writes on 8 bits only
        cv2.putText(
            mask,
            text,
            spot(),
            int(rng.integers(0, 5)),
            float(rng.uniform(0.25, 0.6) * _OVER),
            255,
            max(int(rng.uniform(0.6, 1.6) * _OVER), 1),
        )
        image[mask > 0] = np.asarray(colour(), np.float32)

    def ring():
        cv2.circle(image, spot(), int(rng.uniform(4, 22) * _OVER), colour(), max(int(rng.uniform(0.5, 3) * _OVER), 1))

    for kind in rng.choice([grating, polygon, polygon, fan, writing, writing, ring], rng.integers(8, 15)):
        kind()
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.clip(image + rng.standard_normal((height, width, 1)) * rng.uniform(0, 3), 0, 255).astype(np.uint8)


@DATASETS.register_module()
class DemoPictureDataset(BaseDataset):
    """``length`` pictures of ``draw_picture``; the splits draw from different streams, so none shares a picture.

    Args:
        split: 'train', 'val' or 'test'.
        length: how many pictures.
        seed: another world.
        size: ``(height, width)`` of the truth.
        scale: of the pairs.
    """

    METAINFO = dict(dataset_type='demo_picture', task_name='sisr')

    def __init__(self, split='train', length=200, seed=0, size=(96, 96), scale=4, **kwargs):
        self.split, self.length, self.seed, self.size, self.scale = split, length, seed, tuple(size), scale
        super().__init__(**kwargs)

    def load_data_list(self):
        return [
            dict(name=f'{self.split}-{i}', set='demo', picture=(self.seed, _SPLITS[self.split], i), size=self.size, scale=self.scale)
            for i in range(self.length)
        ]


@TRANSFORMS.register_module()
class DrawPicture(BaseTransform):
    """Stands where other pipelines load: draws ``gt`` of a DemoPictureDataset item."""

    def transform(self, results):
        results['gt'] = draw_picture(tuple(results.pop('picture')), *results.pop('size'))
        return results
