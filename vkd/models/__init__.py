"""Networks that mm and timm lack."""

from ..registry import import_all

import_all(__name__, __path__)
