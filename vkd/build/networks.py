"""A network from what a config says of it: a module, an inline dict, or a config file of mm; and a pass through it."""

import copy
from collections.abc import Callable, Mapping
from typing import Any
from urllib.error import URLError

import torch
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger, print_log
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from ..errors import UserError, is_of_a_method, nearest
from ..io.logs import shorten_terminal
from ..registry import MODELS
from .config import check_packages, load_config

ROLE_KEYS = {
    'cfg',
    'model',
    'checkpoint',
    'strict',
    'prefix',
    'unsafe_pickle',
    'trainable',
    'ema',
    'ema_buffers',
    'momentum',
    'start',
    'view',
}


def build_model(cfg: nn.Module | Mapping[str, Any] | str) -> nn.Module:
    """An ``nn.Module`` from a module, a model dict, or ``dict(cfg=path)``."""
    if isinstance(cfg, nn.Module):
        return cfg
    if isinstance(cfg, str):
        cfg = load_config(cfg).model
    content = copy.deepcopy(ConfigDict(cfg))
    check_packages(content)
    scope = DefaultScope.get_current_instance()
    with DefaultScope.overwrite_default_scope(content.pop('_scope_', None) or (scope.scope_name if scope else 'mmseg')):
        try:
            model: nn.Module = MODELS.build(content)
        except (KeyError, TypeError, ImportError) as error:
            if is_of_a_method(error) or isinstance(error.__cause__ or error.__context__, UserError):
                raise
            raise UserError(
                f"Model {content.get('type')!r} cannot be built ({type(error).__name__}: {' '.join(str(error).split())[:300]}); fix its type "
                "and options.",
                code='broken-model',
            ) from error
    return model


def split_role(role: Any, name: str) -> tuple[Any, dict[str, Any]]:
    """``(model cfg, options)`` of a role given as a module, an inline model dict, or a dict with ``cfg`` and options."""
    if isinstance(role, nn.Module):
        return role, {}
    if not isinstance(role, dict):
        raise UserError(f'{name} is {role!r}; give dict(cfg=…, checkpoint=…), or a model dict.')
    role = dict(role)
    if 'type' in role:
        options = {k: role.pop(k) for k in ROLE_KEYS - {'cfg', 'model'} if k in role}
        return role, options
    unknown = set(role) - ROLE_KEYS
    if unknown:
        raise UserError(f'{name}: unknown option {sorted(unknown)[0]!r}; {nearest(sorted(unknown)[0], ROLE_KEYS)}.', code='unknown-key')
    model = role.pop('model', None) or role.pop('cfg', None)
    if model is None:
        raise UserError(f"{name}: neither 'cfg' (a config file) nor an inline model dict with 'type' was given; add one.")
    return model, role


def initialise(module: nn.Module, name: str, options: Mapping[str, Any]) -> None:
    """``module.init_weights()``, unless a checkpoint will fill it wholly anyway: mm's own initialisation may fetch weights from the
    network.
    """
    checkpoint = options.get('checkpoint')
    start: Callable[[], object] | None = getattr(module, 'init_weights', None)
    if start is None or checkpoint and options.get('strict', True) and not str(checkpoint).startswith('pkg:'):
        return
    shorten_terminal(MMLogger.get_current_instance())  # mmengine logs how each parameter was initialised
    try:
        start()
    except (URLError, FileNotFoundError) as error:
        raise UserError(
            f"{name}: the weights that its config starts from cannot be had ({getattr(error, 'reason', error)}); give checkpoint= a local "
            "file, or set init_cfg (or pretrained) of its backbone to None."
        ) from error


def tell_loaded(name: str, report: Mapping[str, Any]) -> None:
    """Logs how much of a checkpoint fitted into the role ``name``."""
    print_log(
        f'{name}: {report["matched"]} of {report["total"]} tensors ({report["share"]:.0%}) from {report["checkpoint"]}', logger='current'
    )


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside a distributed wrapper, or the model itself."""
    inner: nn.Module = getattr(model, 'module') if is_model_wrapper(model) else model  # noqa: B009  (torch calls it a tensor or a module)
    return inner


def student_of(model: nn.Module) -> nn.Module:
    """The network that is deployed: a Distiller's student, or the model itself."""
    inner = unwrapped(model)
    student: nn.Module = getattr(inner, 'student', inner)
    return student


def forward_features(model: nn.Module, x: torch.Tensor) -> Any:
    """A pass for its taps alone: no task loss is computed."""
    return model(x, mode='tensor') if isinstance(model, BaseModel) else model(x)
