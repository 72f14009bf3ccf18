"""Modules that lie elsewhere since version 0.2: their old names work for one version, with a DeprecationWarning."""

import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import Any

MOVED = {
    'vkd.align': 'vkd.distill.align',
    'vkd.building': 'vkd.build.built',
    'vkd.networks': 'vkd.build.networks',
    'vkd.peers': 'vkd.distill.peers',
}


class _Moved(ModuleType):
    """Stands under an old name, and warns where something is taken out of it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)
        new = MOVED[self.__name__]
        warnings.warn(f'{self.__name__} is now {new}; the old name goes in version 0.3.', DeprecationWarning, stacklevel=2)
        return getattr(import_module(new), name)


def install() -> None:
    """Puts a stand-in under each old name that is free."""
    for name in MOVED:
        sys.modules.setdefault(name, _Moved(name))
