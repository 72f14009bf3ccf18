"""The heart: a student, its teachers, and the methods between them."""

from .. import _mmseg  # noqa: F401  (before others import it, because it does so quietly)
