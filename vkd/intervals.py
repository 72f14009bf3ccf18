"""Intervals over seeds: of a mean, and of a gain."""

import math

import numpy as np
from scipy import stats

from .errors import UserError


def mean_interval(values, level=0.95):
    """``(mean, half width)`` of Student's t interval for the mean of ``values``; half width None for fewer than two."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return float(values.mean()), None
    return float(values.mean()), float(stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))


def gain_interval(values, base, level=0.95):
    """``(difference of means, half width)`` by Welch's t interval (unequal variances). Raises UserError where either has fewer than two
    values.

    Runs of equal seeds are not treated as pairs: a seed fixes the initial weights and the order of the data, but how results vary
        afterwards is hardly shared.
    """
    values, base = np.asarray(values, dtype=float), np.asarray(base, dtype=float)
    if len(values) < 2 or len(base) < 2:
        raise UserError(f'A gain with an interval needs two seeds of each side; {len(values)} and {len(base)} were given.')
    a, b = values.var(ddof=1) / len(values), base.var(ddof=1) / len(base)
    gain = float(values.mean() - base.mean())
    if a + b == 0:
        return gain, 0.0
    freedom = (a + b) ** 2 / (a**2 / (len(values) - 1) + b**2 / (len(base) - 1))
    return gain, float(stats.t.ppf((1 + level) / 2, freedom) * math.sqrt(a + b))
