"""Everything that vkd registers, and mmseg: a registry imports this module when something is looked up in it, so that whatever a config names
is there, in whichever registry, from then on.
"""

from importlib import import_module

from . import _mmseg  # noqa: F401
from .registry import import_all

#: by name: a room that registers lies above this module
ROOMS = ('methods', 'models', 'datasets', 'evaluation', 'engine', 'robustness')

import_module('vkd.distill.distiller')
for _room in ROOMS:
    _package = import_module(f'vkd.{_room}')
    import_all(_package.__name__, list(_package.__path__))
