"""Text embeddings of class names."""

from .. import _mmseg  # noqa: F401  (before others import it, because it does so quietly)
