"""One file a method: a pure loss function beside its class. Importing this package registers them all."""

from ..registry import import_all

import_all(__name__, __path__)
