"""Corruptions and attacks: how they are made, and what a network keeps under them."""

from .. import _mmseg  # noqa: F401  (before others import it, because it does so quietly)
