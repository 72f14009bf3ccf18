"""A network from what a config says of it: a module, an inline dict, or a config file of mm; and a pass through it."""

import copy
import importlib.util
import os
from pathlib import Path
from urllib.error import URLError

from mmengine.config import ConfigDict
from mmengine.logging import print_log
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from ..errors import UserError, is_of_a_method, nearest
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


def resolve_config(path):
    """``'mmseg::segformer/x.py'`` or a path -> path of a config file, looked up beside the module that provides ``mmseg``.

    mmengine's own resolver may pip-install upstream packages over a fork, so it is not used.
    """
    path = str(path)
    if '::' not in path:
        if not Path(path).is_file():
            from .compose import is_composed  # which imports this

            if not is_composed(path):
                raise UserError(
                    f'Config {path!r} does not exist in {os.getcwd()!r}; give the path of a config file, from this folder, or mmseg::path.'
                )
        return path
    package, name = path.split('::', 1)
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise UserError(f'Config {path!r}: the package {package!r} is not installed; install it or give a path.')
    root = Path(spec.origin).parent / '.mim' / 'configs'
    file = root / name
    if not file.is_file():
        raise UserError(
            f'Config {path!r}: no such file below {package}; {nearest(name, [p.relative_to(root).as_posix() for p in root.rglob("*.py")])}.'
        )
    return str(file)


def build_model(cfg):
    """An ``nn.Module`` from a module, a model dict, or ``dict(cfg=path)``."""
    if isinstance(cfg, nn.Module):
        return cfg
    if isinstance(cfg, str):
        cfg = load_config(resolve_config(cfg)).model
    cfg = copy.deepcopy(ConfigDict(cfg))
    check_packages(cfg)
    scope = DefaultScope.get_current_instance()
    with DefaultScope.overwrite_default_scope(cfg.pop('_scope_', None) or (scope.scope_name if scope else 'mmseg')):
        try:
            return MODELS.build(cfg)
        except (KeyError, TypeError, ImportError) as error:
            if is_of_a_method(error) or isinstance(error.__cause__ or error.__context__, UserError):
                raise
            raise UserError(
                f"Model {cfg.get('type')!r} cannot be built ({type(error).__name__}: {' '.join(str(error).split())[:300]}); fix its type "
                "and options."
            ) from error


def split_role(role, name):
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
        raise UserError(f'{name}: unknown option {sorted(unknown)[0]!r}; {nearest(sorted(unknown)[0], ROLE_KEYS)}.')
    model = role.pop('model', None) or role.pop('cfg', None)
    if model is None:
        raise UserError(f"{name}: neither 'cfg' (a config file) nor an inline model dict with 'type' was given; add one.")
    return model, role


def initialise(module, name, options):
    """``module.init_weights()``, unless a checkpoint will fill it wholly anyway: mm's own initialisation may fetch weights from the
    network.
    """
    checkpoint = options.get('checkpoint')
    if not hasattr(module, 'init_weights') or checkpoint and options.get('strict', True) and not str(checkpoint).startswith('pkg:'):
        return
    try:
        module.init_weights()
    except (URLError, FileNotFoundError) as error:
        raise UserError(
            f"{name}: the weights that its config starts from cannot be had ({getattr(error, 'reason', error)}); give checkpoint= a local "
            "file, or set init_cfg (or pretrained) of its backbone to None."
        ) from error


def tell_loaded(name, report):
    """Logs how much of a checkpoint fitted into the role ``name``."""
    print_log(
        f'{name}: {report["matched"]} of {report["total"]} tensors ({report["share"]:.0%}) from {report["checkpoint"]}', logger='current'
    )


def unwrapped(model):
    """The model inside a distributed wrapper, or the model itself."""
    return model.module if is_model_wrapper(model) else model


def student_of(model):
    """The network that is deployed: a Distiller's student, or the model itself."""
    inner = unwrapped(model)
    return getattr(inner, 'student', inner)


def forward_features(model, x):
    """A pass for its taps alone: no task loss is computed."""
    return model(x, mode='tensor') if isinstance(model, BaseModel) else model(x)
