"""Bodies drawn from a seed: sparse-view CT without a download."""

from functools import lru_cache

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset

from ..registry import DATASETS, TRANSFORMS

_SPLITS = dict(train=0, val=1, test=2)
_OVER = 3  # drawn this much larger and averaged


@lru_cache(maxsize=1024)
def draw_phantom(seed, size=64):
    """HU float32 ``[size, size]`` from ``seed`` (an int or a tuple of ints): an elliptic body in air with lungs, organs, vessels and bones;
    treat it as read-only.
    """
    rng, side = np.random.default_rng(seed), size * _OVER
    y, x = np.mgrid[0:side, 0:side] * (2 / side) + (1 / side - 1)
    hu = np.full((side, side), -1000.0)

    def ellipse(centre, axes, value, angle=0.0, inside=None):
        u, v = x - centre[0], y - centre[1]
        u, v = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
        mask = (u / axes[0]) ** 2 + (v / axes[1]) ** 2 <= 1
        mask = mask if inside is None else mask & inside
        hu[mask] = value
        return mask

    middle = rng.uniform(-0.05, 0.05, 2)
    wide, high = rng.uniform(0.68, 0.85), rng.uniform(0.5, 0.65)
    ellipse(middle, (wide, high), rng.uniform(-110, -80))  # fat
    body = ellipse(middle, (0.92 * wide, 0.9 * high), rng.uniform(30, 60))
    if rng.random() < 0.6:
        for sign in (-1, 1):
            lung = ellipse(
                middle + (sign * 0.45 * wide, rng.uniform(-0.08, 0.02)),
                (rng.uniform(0.25, 0.35) * wide, rng.uniform(0.45, 0.65) * high),
                rng.uniform(-880, -780),
                sign * rng.uniform(0, 0.3),
                body,
            )
            for _ in range(rng.integers(6, 14)):
                ellipse(
                    middle + (sign * rng.uniform(0.2, 0.7) * wide, rng.uniform(-0.5, 0.5) * high),
                    rng.uniform(0.01, 0.035, 2),
                    rng.uniform(0, 60),
                    inside=lung,
                )
    for _ in range(rng.integers(5, 10)):
        ellipse(
            middle + rng.uniform(-0.6, 0.6, 2) * (wide, high),
            rng.uniform(0.04, 0.2, 2),
            rng.uniform(-60, 160),
            rng.uniform(0, np.pi),
            body & (hu > -200),
        )
    spine = middle + (0, 0.6 * high)
    ellipse(spine, rng.uniform(0.09, 0.13, 2), rng.uniform(400, 900), inside=body)
    ellipse(spine, rng.uniform(0.05, 0.08, 2), rng.uniform(150, 300), inside=body)
    for angle in np.linspace(0, 2 * np.pi, rng.integers(8, 16), endpoint=False) + rng.uniform(0, 1):
        ellipse(
            middle + (0.84 * wide * np.cos(angle), 0.82 * high * np.sin(angle)),
            (0.045, 0.02),
            rng.uniform(500, 1200),
            angle + np.pi / 2,
            body,
        )
    return hu.reshape(size, _OVER, size, _OVER).mean((1, 3)).astype(np.float32)


@DATASETS.register_module()
class DemoPhantomDataset(BaseDataset):
    """``length`` phantoms of ``draw_phantom``, each a patient of its own; the splits draw from different streams.

    Args:
        split: 'train', 'val' or 'test'.
        length: how many.
        seed: another world.
        size: side of a slice.
    """

    METAINFO = dict(dataset_type='demo_phantom', task_name='ct')

    def __init__(self, split='train', length=100, seed=0, size=64, **kwargs):
        self.split, self.length, self.seed, self.size = split, length, seed, size
        super().__init__(**kwargs)

    def load_data_list(self):
        return [
            dict(
                name=f'{self.split}-{i}',
                patient=f'{self.split}-{i}',
                set='phantoms',
                phantom=(self.seed, _SPLITS[self.split], i),
                size=self.size,
            )
            for i in range(self.length)
        ]


@TRANSFORMS.register_module()
class DrawPhantom(BaseTransform):
    """Stands where other pipelines load: draws ``hu`` of a DemoPhantomDataset item."""

    def transform(self, results):
        results['hu'] = draw_phantom(tuple(results.pop('phantom')), results.pop('size')).copy()
        return results
