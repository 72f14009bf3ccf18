"""Networks that mm and timm lack."""

from .. import _mmseg  # noqa: F401  (before others import it, because it does so quietly)
from ..registry import import_all

import_all(__name__, __path__)
