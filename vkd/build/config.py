"""Reading mm configs with errors that say what to fix, and telling two of them apart."""

import importlib.util
import os
from pathlib import Path

import numpy as np
from mmengine.config import Config, ConfigDict

from ..errors import UserError


def load_config(path, options=None):
    """A Config from ``path``, with ``options`` (dotted keys) merged; a file of the project's own configs that has gone is composed from its
    name (``vkd.build.compose``). Raises UserError for a missing or broken file or key.
    """
    path = str(path)
    cfg = _read(path) if Path(path).is_file() else _composed(path)
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise UserError(f'Config {path!r}: the options {options} do not fit ({error}); name keys that exist.') from error
    return cfg


def _read(path):
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is a program, and fails in every way
        told = f'{type(error).__name__}: {(str(error).splitlines() or ["no message"])[0]}'
        how = 'fix the file' + ', or let PYTHONPATH name the folder of your own modules' * isinstance(error, ImportError)
        raise UserError(f'Config {path!r} cannot be read ({told}); {how}.') from error


def _composed(path):
    from .compose import compose_by_name  # which reads its parts by load_config

    cfg = compose_by_name(path)
    if cfg is None:
        raise UserError(f'Config {path!r} does not exist in {os.getcwd()!r}; give the path of a config file, from this folder.')
    return cfg


def check_packages(model):
    """Raises UserError where a model config, at any depth, needs mmdet or mmcv's compiled operators and they are not installed. Called
    before anything is trained.
    """
    for part in _parts(model):
        kind = str(part.get('type', ''))
        if not kind.startswith('mmdet.') and not kind.endswith('Mask2FormerHead'):
            continue
        missing = (
            'mmdet'
            if importlib.util.find_spec('mmdet') is None
            else "mmcv's compiled operators"
            if importlib.util.find_spec('mmcv._ext') is None
            else None
        )
        if missing:
            raise UserError(
                f"{kind} needs mmdet and an mmcv with compiled operators, and {missing} cannot be found; run pip install -e "
                "'.[mask2former]' beside an mmcv that was built for this torch, "
                'or choose another decoder, such as SegformerHead.'
            )


def type_name(cfg):
    """The name of what a config builds, without its scope; of a class its own."""
    kind = cfg.get('type')
    return str(getattr(kind, '__name__', kind)).rsplit('.', 1)[-1]


def teachers_of(model):
    """``{name: role config}`` of all teachers of a Distiller's config, as the Distiller names them. Raises UserError for one that is no dict."""
    found = {**(model.get('teachers') or {}), **({'teacher': model['teacher']} if model.get('teacher') else {})}
    for name, role in found.items():
        if not isinstance(role, dict):
            raise UserError(f'{name} is {role!r}; give dict(cfg=…, checkpoint=…), or a model dict.')
    return found


def _parts(value):
    """Every dict inside ``value``, itself first."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        yield from _parts(inner)


def plain(value):
    """``value`` of a config as dicts, lists, numbers and strings, with sorted keys (types and functions by name)."""
    if isinstance(value, (dict, ConfigDict)):
        return {str(k): plain(value[k]) for k in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(getattr(value, '__name__', value))
