"""vkd: knowledge distillation for dense vision on the OpenMMLab stack."""

import contextlib
import warnings
from io import StringIO

# on import, mmseg prints which optional parts it lacks; nothing of vkd uses them
with contextlib.redirect_stdout(StringIO()), warnings.catch_warnings():
    warnings.simplefilter('ignore')
    import mmseg.datasets, mmseg.engine, mmseg.evaluation, mmseg.models  # isort: skip  # noqa: E401, F401

# isort: off
from . import _moved
from .distill.distiller import Distiller
from .distill.method import Method, PairMethod
from .distill.peers import PeerMethod
from .errors import UserError
from .registry import DATASETS, HOOKS, METHODS, METRICS, MODELS, TRANSFORMS
from . import datasets, engine, evaluation, methods, models  # noqa: F401  (registers by import)
from .robustness import attack, corruptions  # noqa: F401  (likewise)
# isort: on

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
