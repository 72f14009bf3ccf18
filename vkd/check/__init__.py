"""A dry run of a config: what it will do, in seconds and before hours are spent."""

from .checking import check
from .report import show

__all__ = ['check', 'show']
