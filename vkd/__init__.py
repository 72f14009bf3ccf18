"""vkd: knowledge distillation for dense vision on the OpenMMLab stack."""
from .distiller import Distiller
from .errors import UserError
from .registry import DATASETS, HOOKS, METHODS, METRICS, MODELS, TRANSFORMS
from . import datasets, engine, evaluation, methods, models  # noqa: F401  (registers by import)

__version__ = '0.1.0'
__all__ = ['DATASETS', 'Distiller', 'HOOKS', 'METHODS', 'METRICS', 'MODELS', 'TRANSFORMS', 'UserError']
