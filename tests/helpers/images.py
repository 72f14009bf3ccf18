"""Images of noise as arrays."""

import numpy as np


def picture(h=24, w=36, channels=3, dtype=np.uint8, seed=0):
    """A noise image ``[h, w, channels]`` of an integer type, over its whole range."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (h, w, channels), dtype=dtype, endpoint=True)
