"""Hounsfield units, attenuation, and the windows in which radiologists look."""

WATER = 0.192  # attenuation of water in 1/cm at about 70 keV; that of GloReDi and DuDoNet

#: of evaluation: (width, level) in HU: all tissue, soft tissue, lung
WINDOWS = (3000, 500), (500, 50), (800, -600)


def hu_to_mu(hu):
    """HU -> attenuation in 1/cm: air (-1000) is 0, water (0) is 0.192.

    >>> hu_to_mu(0), hu_to_mu(-1000)
    (0.192, 0.0)
    """
    return WATER * (1 + hu / 1000)


def mu_to_hu(mu):
    """Attenuation in 1/cm -> HU."""
    return 1000 * (mu / WATER - 1)


def window(hu, width, level):
    """HU -> 0 to 1 linearly over ``level - width / 2`` to ``level + width / 2``, clamped outside."""
    return ((hu - level) / width + 0.5).clamp(0, 1)


def window_name(width, level):
    """A window as scores are named by it: ``w500c50``.

    >>> window_name(500, 50)
    'w500c50'
    """
    return f'w{width:g}c{level:g}'
