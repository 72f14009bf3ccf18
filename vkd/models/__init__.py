from . import heads  # noqa: F401  (registers)
