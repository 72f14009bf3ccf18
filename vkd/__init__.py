"""vkd: knowledge distillation for dense vision on the OpenMMLab stack.

``import vkd`` declares its registries, so that ``type='vkd.X'`` works in any mm config, and imports neither torch nor mmseg: that is done when
something is first looked up in a registry, or taken from here (``vkd._registered``).
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from . import _moved, registry
from .errors import UserError

if TYPE_CHECKING:
    from .distill.distiller import Distiller
    from .distill.method import Method, PairMethod
    from .distill.peers import PeerMethod
    from .registry import DATASETS, HOOKS, METHODS, METRICS, MODELS, TRANSFORMS

_moved.install()

__version__ = '0.1.0'
__all__ = [
    'DATASETS',
    'Distiller',
    'HOOKS',
    'METHODS',
    'METRICS',
    'MODELS',
    'Method',
    'PairMethod',
    'PeerMethod',
    'TRANSFORMS',
    'UserError',
]
_CLASSES = dict(Distiller='distill.distiller', Method='distill.method', PairMethod='distill.method', PeerMethod='distill.peers')


def __getattr__(name: str) -> Any:
    if name in __all__:
        import_module('vkd._registered')
        return getattr(import_module(f'vkd.{_CLASSES[name]}') if name in _CLASSES else registry, name)
    if not name.startswith('_') and find_spec(f'vkd.{name}'):
        return import_module(f'vkd.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
