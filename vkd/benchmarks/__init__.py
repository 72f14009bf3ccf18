"""What distillation costs, one question a file: each has ``measure(rounds, device)``, all cases interleaved in one process, and ``show(out,
found)``.
"""

from pathlib import Path

#: of the files of this package, in the order in which they are shown
QUESTIONS = ('steps', 'transkd', 'peers', 'clip', 'gkd', 'restoration', 'ct', 'counting', 'scale')
CONFIGS = Path(__file__).parent.parent.parent / 'configs'


def verdict(value, limit):
    """Whether a goal of at most ``limit`` was met."""
    return 'met' if value <= limit else 'missed'


def quartiles(times, base):
    """``(25 %, median, 75 %)`` of the rounds' ratios, as floats."""
    import numpy as np

    return tuple(float(x) for x in np.quantile(np.array(times) / np.array(base), (0.25, 0.5, 0.75)))
