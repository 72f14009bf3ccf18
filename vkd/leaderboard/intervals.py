"""The interval of a mean over seeds."""

import math

import numpy as np
from scipy import stats


def mean_interval(values, level=0.95):
    """``(mean, half width)`` of Student's t interval for the mean of ``values``; half width None for fewer than two."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return float(values.mean()), None
    return float(values.mean()), float(stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
