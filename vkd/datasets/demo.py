"""Street-like scenes drawn from a seed: data for a first run without a download.

Colours overlap between classes on purpose (a facade may have the grey of the road, a car the green of a tree), so that a network has to use
texture, place and shape; poles and signs are one to three pixels wide; light, shadow, haze and noise change from scene to scene.
"""

from functools import lru_cache

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets import BaseSegDataset

from ..registry import DATASETS, TRANSFORMS

CLASSES = ('sky', 'building', 'road', 'pavement', 'tree', 'car', 'person', 'pole', 'sign')
SKY, BUILDING, ROAD, PAVEMENT, TREE, CAR, PERSON, POLE, SIGN = range(9)
_SPLITS = dict(train=0, val=1, test=2)


def _texture(rng, h, w, cell, strength):
    """Smooth noise ``[h, w, 1]`` of grain ``cell`` pixels, zero mean."""
    small = rng.standard_normal((h // cell + 2, w // cell + 2)).astype(np.float32)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)[..., None] * strength


@lru_cache(maxsize=4096)
def draw_scene(seed, height=64, width=96):
    """A scene from ``seed`` (an int or a tuple of ints).

    Returns:
        image uint8 ``[height, width, 3]`` (BGR) and label uint8 ``[height, width]`` with the indices of ``CLASSES``; treat both as
        read-only.
    """
    rng = np.random.default_rng(seed)
    h, w = height, width
    image, label = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8)
    unit = h / 64  # sizes below are for 64 rows
    horizon = int(h * rng.uniform(0.36, 0.52))
    vanish = int(w * rng.uniform(0.3, 0.7))

    def fill(mask, cls, colour, grain=2, rough=9.0):
        mask = mask.astype(bool)
        image[mask] = (np.asarray(colour, np.float32) + _texture(rng, h, w, grain, rough))[mask]
        label[mask] = cls

    def shape(draw):
        mask = np.zeros((h, w), np.uint8)
        draw(mask)
        return mask

    def polygon(points):
        return shape(lambda m: cv2.fillPoly(m, [np.round(np.asarray(points)).astype(np.int32)], 1))

    grey = rng.uniform(85, 150)
    # sky: a gradient with clouds; on a dull day it has the grey of concrete
    blue = rng.uniform(0, 60)
    ramp = np.linspace(1.0, 0.8, h, dtype=np.float32)[:, None, None]
    image[:] = np.array([190 + blue / 2, 180, 180 - blue], np.float32) * ramp + _texture(rng, h, w, max(int(10 * unit), 2), 16)
    # ground: pavement, and the road in it
    fill(shape(lambda m: cv2.rectangle(m, (0, horizon), (w, h), 1, -1)), PAVEMENT, grey + rng.uniform(5, 30) + rng.uniform(-8, 8, 3), 2, 10)
    left, right = -w * rng.uniform(0.0, 0.5), w * rng.uniform(1.0, 1.5)
    road = polygon([(vanish - 2 * unit, horizon), (vanish + 2 * unit, horizon), (right, h), (left, h)])
    fill(road, ROAD, grey - rng.uniform(5, 30) + rng.uniform(-6, 6, 3), 1, 7)
    for k in range(6):  # lane marks stay road
        a, b = horizon + (h - horizon) * np.array([(k / 6) ** 1.6, ((k + 0.45) / 6) ** 1.6])
        x = vanish + (np.array([a, b]) - horizon) / (h - horizon) * ((left + right) / 2 - vanish)
        image[polygon([(x[0], a), (x[0] + unit, a), (x[1] + 1.5 * unit, b), (x[1], b)]) > 0] = 205
    # buildings: facades with rows of windows
    x = -rng.uniform(0, 10) * unit
    while x < w:
        wide, top = rng.uniform(10, 26) * unit, horizon - rng.uniform(5, 26) * unit
        base = horizon + rng.uniform(0, 3) * unit
        if rng.random() < 0.85:
            corners = (int(x), int(top)), (int(x + wide), int(base))
            facade = shape(lambda m, corners=corners: cv2.rectangle(m, *corners, 1, -1))
            fill(facade, BUILDING, rng.uniform(70, 185) + rng.uniform(-30, 30, 3), 3, 8)
            dark, step = rng.uniform(-55, 40), max(int(rng.uniform(3, 6) * unit), 2)
            rows, cols = np.mgrid[0:h, 0:w]
            panes = ((rows - int(top)) % step >= step / 2) & ((cols - int(x)) % step >= step / 2) & (facade > 0)
            image[panes] += dark
        x += wide + rng.uniform(-2, 6) * unit

    def place(depth):
        """Ground row and scale at ``depth`` in 0 (far) .. 1 (near)."""
        return horizon + depth * (h - horizon) * 0.9, 0.25 + 0.95 * depth

    def side_x(depth, side):
        edge = left if side < 0 else right
        road_x = vanish + depth * (edge - vanish)
        return float(np.clip(road_x + side * rng.uniform(1, 14) * unit, 0, w - 1))

    def tree(depth, side):
        y, s = place(depth)
        x, r = side_x(depth, side), rng.uniform(7, 13) * s * unit
        fill(shape(lambda m: cv2.line(m, (int(x), int(y)), (int(x), int(y - 2 * r)), 1, max(int(2 * s * unit), 1))), TREE, (45, 60, 80))
        crown = shape(
            lambda m: [
                cv2.circle(
                    m, (int(x + rng.normal(0, r / 2)), int(y - 2 * r + rng.normal(0, r / 2))), max(int(r * rng.uniform(0.4, 0.8)), 1), 1, -1
                )
                for _ in range(6)
            ]
        )
        holes = _texture(rng, h, w, 2, 1.0)[..., 0] > 1.6  # the sky shows through
        fill((crown > 0) & ~holes, TREE, rng.uniform(35, 90) + np.array([0, rng.uniform(5, 50), rng.uniform(-10, 25)]), 2, 20)

    def car(depth, side):
        y, s = place(depth)
        x = vanish + depth * ((left + right) / 2 - vanish) + rng.uniform(-28, 28) * s * unit
        wide, tall = rng.uniform(13, 20) * s * unit, rng.uniform(7, 10) * s * unit
        colour = rng.uniform(30, 210) + rng.uniform(-45, 45, 3)
        body = polygon(
            [
                (x - wide / 2, y),
                (x - wide / 2, y - tall * 0.55),
                (x - wide * 0.3, y - tall * 0.6),
                (x - wide * 0.2, y - tall),
                (x + wide * 0.2, y - tall),
                (x + wide * 0.35, y - tall * 0.6),
                (x + wide / 2, y - tall * 0.5),
                (x + wide / 2, y),
            ]
        )
        fill(body, CAR, colour, 4, 6)
        image[
            polygon(
                [
                    (x - wide * 0.2, y - tall * 0.6),
                    (x - wide * 0.14, y - tall * 0.92),
                    (x + wide * 0.15, y - tall * 0.92),
                    (x + wide * 0.25, y - tall * 0.6),
                ]
            )
            > 0
        ] = rng.uniform(40, 90)
        fill(
            shape(lambda m: [cv2.circle(m, (int(x + k * wide), int(y)), max(int(tall * 0.2), 1), 1, -1) for k in (-0.3, 0.3)]),
            CAR,
            30,
            2,
            5,
        )

    def person(depth, side):
        y, s = place(depth)
        x, tall = side_x(depth, side) - side * rng.uniform(0, 8) * unit, rng.uniform(11, 15) * s * unit
        wide = max(tall * 0.14, 0.8)
        fill(
            shape(lambda m: cv2.ellipse(m, (int(x), int(y - tall * 0.62)), (round(wide), max(int(tall * 0.24), 1)), 0, 0, 360, 1, -1)),
            PERSON,
            rng.uniform(20, 220, 3),
            2,
            8,
        )
        fill(
            polygon(
                [
                    (x - wide, y - tall * 0.45),
                    (x + wide, y - tall * 0.45),
                    (x + wide * rng.uniform(0.4, 1.2), y),
                    (x - wide * rng.uniform(0.4, 1.2), y),
                ]
            ),
            PERSON,
            rng.uniform(20, 140, 3),
            2,
            8,
        )
        fill(
            shape(lambda m: cv2.circle(m, (int(x), int(y - tall * 0.93)), max(int(tall * 0.09), 1), 1, -1)),
            PERSON,
            rng.uniform(70, 190) + np.array([-25, 0, 25]),
            2,
            4,
        )

    def pole(depth, side):
        y, s = place(depth)
        x, tall = side_x(depth, side), rng.uniform(26, 40) * s * unit
        fill(
            shape(lambda m: cv2.line(m, (int(x), int(y)), (int(x), int(y - tall)), 1, max(round(1.6 * s * unit), 1))),
            POLE,
            rng.uniform(50, 170),
            2,
            6,
        )
        if rng.random() < 0.45:  # the rare class
            r = rng.uniform(2.0, 3.6) * s * unit
            colour = [(40, 40, 190), (170, 90, 30), (40, 170, 200)][rng.integers(3)]
            round_ = rng.random() < 0.5
            fill(
                shape(
                    lambda m: (
                        cv2.circle(m, (int(x), int(y - tall)), max(int(r), 1), 1, -1)
                        if round_
                        else cv2.rectangle(m, (int(x - r), int(y - tall - r)), (int(x + r), int(y - tall + r)), 1, -1)
                    )
                ),
                SIGN,
                colour,
                2,
                6,
            )

    things = [(tree, rng.integers(1, 5)), (car, rng.integers(1, 5)), (person, rng.integers(1, 5)), (pole, rng.integers(1, 5))]
    order = sorted(((rng.uniform(0.02, 1.0) ** 1.3, thing) for thing, count in things for _ in range(count)), key=lambda item: item[0])
    for depth, thing in order:  # far to near: the near occlude the far
        thing(depth, 1 if rng.random() < 0.5 else -1)
    # light: haze with distance, a shadow across the street, exposure, colour cast, noise
    rows = np.clip((np.arange(h, dtype=np.float32) - horizon) / max(h - horizon, 1), 0, 1)[:, None, None]
    haze = rng.uniform(0, 0.35) * (1 - rows)
    image = image * (1 - haze) + 190 * haze
    if rng.random() < 0.5:
        x = rng.uniform(0, w)
        shade = polygon([(x, horizon), (x + 12 * unit, horizon), (x + rng.uniform(10, 50) * unit, h), (x - rng.uniform(0, 40) * unit, h)])[
            ..., None
        ]
        image = image * (1 - 0.4 * cv2.GaussianBlur(shade.astype(np.float32), (3, 3), 0)[..., None])
    image = image * rng.uniform(0.45, 1.15) * rng.uniform(0.88, 1.12, 3) + rng.uniform(-12, 18)
    image = cv2.GaussianBlur(image.astype(np.float32), (3, 3), rng.uniform(0.2, 0.8))
    image += rng.standard_normal((h, w, 3)) * rng.uniform(4, 13)
    return np.clip(image, 0, 255).astype(np.uint8), label


@DATASETS.register_module()
class DemoDataset(BaseSegDataset):
    """``length`` scenes of ``draw_scene``; the splits draw from different streams, so none shares a scene.

    Args:
        split: 'train', 'val' or 'test'.
        length: how many scenes.
        seed: another world.
        size: ``(height, width)``.
    """

    METAINFO = dict(
        classes=CLASSES,
        palette=[
            [105, 150, 200],
            [140, 80, 70],
            [90, 80, 100],
            [175, 160, 170],
            [80, 130, 60],
            [40, 70, 170],
            [210, 90, 60],
            [215, 195, 90],
            [225, 60, 130],
        ],
    )

    def __init__(self, split='train', length=200, seed=0, size=(64, 96), **kwargs):
        self.split, self.length, self.seed, self.size = split, length, seed, tuple(size)
        super().__init__(data_root=None, data_prefix=dict(img_path=None, seg_map_path=None), **kwargs)

    def load_data_list(self):
        return [
            dict(img_path=f'demo-{self.split}-{i}', scene=(self.seed, _SPLITS[self.split], i), size=self.size, seg_fields=[])
            for i in range(self.length)
        ]


@TRANSFORMS.register_module()
class DrawScene(BaseTransform):
    """Stands where other pipelines load: draws image and label of a DemoDataset item."""

    def transform(self, results):
        image, label = draw_scene(tuple(results.pop('scene')), *results.pop('size'))
        results.update(img=image.copy(), img_shape=image.shape[:2], ori_shape=image.shape[:2], gt_seg_map=label.copy())
        results['seg_fields'].append('gt_seg_map')
        return results
