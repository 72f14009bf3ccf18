"""A shift of image and label alike."""

import numpy as np
from mmcv.transforms import BaseTransform

from ..registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomShift(BaseTransform):
    """Moves image and label maps by the same whole pixels, drawn from -``most`` to ``most`` on either axis; what comes in is 0 in the image
    and 255 in a label.
    """

    def __init__(self, most=2):
        self.most = most

    def transform(self, results):
        by = np.random.randint(-self.most, self.most + 1, 2)
        for key, fill in [('img', 0), *((k, 255) for k in results.get('seg_fields', []))]:
            results[key] = shifted(results[key], *by, fill)
        return results


def shifted(array, down, right, fill):
    """``array [H, W, …]`` moved by whole pixels; a new array of the same size."""
    out = np.full_like(array, fill)
    h, w = array.shape[:2]
    out[max(down, 0) : h + min(down, 0), max(right, 0) : w + min(right, 0)] = array[
        max(-down, 0) : h - max(down, 0), max(-right, 0) : w - max(right, 0)
    ]
    return out
