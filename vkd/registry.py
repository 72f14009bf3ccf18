"""Registries of vkd: children of mmengine's, so that ``type='vkd.X'`` works in any mm config."""

from importlib import import_module
from pkgutil import iter_modules

from mmengine.registry import DATA_SAMPLERS as _DATA_SAMPLERS
from mmengine.registry import DATASETS as _DATASETS
from mmengine.registry import HOOKS as _HOOKS
from mmengine.registry import LOOPS as _LOOPS
from mmengine.registry import METRICS as _METRICS
from mmengine.registry import MODELS as _MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as _OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as _OPTIM_WRAPPERS
from mmengine.registry import TRANSFORMS as _TRANSFORMS
from mmengine.registry import Registry

#: whichever of them something is looked up in first, everything is registered: a config of mm may rely on what another import brings
_LOCATIONS = ['vkd._registered']

METHODS = Registry('method', scope='vkd', locations=_LOCATIONS)
MODELS = Registry('model', parent=_MODELS, scope='vkd', locations=_LOCATIONS)
DATASETS = Registry('dataset', parent=_DATASETS, scope='vkd', locations=_LOCATIONS)
DATA_SAMPLERS = Registry('data sampler', parent=_DATA_SAMPLERS, scope='vkd', locations=_LOCATIONS)
TRANSFORMS = Registry('transform', parent=_TRANSFORMS, scope='vkd', locations=_LOCATIONS)
METRICS = Registry('metric', parent=_METRICS, scope='vkd', locations=_LOCATIONS)
HOOKS = Registry('hook', parent=_HOOKS, scope='vkd', locations=_LOCATIONS)
LOOPS = Registry('loop', parent=_LOOPS, scope='vkd', locations=_LOCATIONS)
OPTIM_WRAPPERS = Registry('optim_wrapper', parent=_OPTIM_WRAPPERS, scope='vkd', locations=_LOCATIONS)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor', parent=_OPTIM_WRAPPER_CONSTRUCTORS, scope='vkd', locations=_LOCATIONS
)


def import_all(package: str, path: list[str]) -> None:
    """Imports every module of a package, so that what it registers is there: a new one is one file. ``import_all(__name__, __path__)``."""
    for module in iter_modules(path):
        import_module(f'{package}.{module.name}')
