"""vkd: knowledge distillation for dense vision on the OpenMMLab stack."""

import contextlib
import io
import warnings

# on import, mmseg prints which optional parts it lacks; nothing of vkd uses them
with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
    warnings.simplefilter('ignore')
    import mmseg.datasets, mmseg.engine, mmseg.evaluation, mmseg.models  # noqa: E401, F401

from .distiller import Distiller
from .errors import UserError
from .method import Method, PairMethod
from .peers import PeerMethod
from .registry import DATASETS, HOOKS, METHODS, METRICS, MODELS, TRANSFORMS
from . import datasets, engine, evaluation, methods, models  # noqa: F401  (registers by import)

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
