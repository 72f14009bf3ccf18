"""Reading mm configs with errors that say what to fix, and telling two of them apart."""

import importlib.util
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict

from ..errors import UserError, nearest

_READING = threading.RLock()


def packaged_configs(package: str) -> Path:
    """The folder of the configs that an installed package ships; those of vkd lie beside it where it is used from its repository.

    Raises:
        UserError: where the package is not installed.
    """
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.origin:
        raise UserError(f'the package {package!r} is not installed; install it, or give a path instead of {package}::….')
    folder = Path(spec.origin).parent
    shipped = folder / '.mim' / 'configs'
    return folder.parent / 'configs' if package == 'vkd' and not shipped.is_dir() else shipped


def resolve_config(path: str | Path) -> str:
    """The path of a config file.

    mmengine's own resolver may pip-install upstream packages over a fork, so it is not used.

    Args:
        path: a path; ``'package::path'`` of a config that an installed package ships, such as ``'mmseg::segformer/x.py'``; or
            ``'configs/…'``, which is one of vkd's own where this folder has no such file.

    Raises:
        UserError: for a file that does not exist, with the nearest names, and for a package that is not installed.
    """
    path = str(path)
    if '::' in path:
        package, name = path.split('::', 1)
        try:
            root = packaged_configs(package)
        except UserError as error:
            raise UserError(f'Config {path!r}: {error}', code='missing-package') from None
        if (root / name).is_file():
            return str(root / name)
        known = [p.relative_to(root).as_posix() for p in root.rglob('*.py')]
        raise UserError(f'Config {path!r}: no such file below {package}; {nearest(name, known)}.', code='no-such-config')
    if Path(path).is_file():
        return path
    own = packaged_configs('vkd')
    first, *rest = Path(path).parts or ('',)
    if first == 'configs' and own.joinpath(*rest).is_file():
        return str(own.joinpath(*rest))
    from .compose import is_composed  # which reads its parts by load_config

    if is_composed(path):
        return path
    how = f'vkd::{path}, which vkd ships' if (own / path).is_file() else 'the path of a config file, from this folder, or package::path'
    raise UserError(f'Config {path!r} does not exist in {os.getcwd()!r}; give {how}.', code='no-such-config')


@contextmanager
def _packaged_bases() -> Iterator[None]:
    """Within it, mmengine finds ``_base_ = 'package::path'`` by ``resolve_config``. By itself it looks for the distribution that a table
    names for the package, which is not there where a fork provides it, and it knows no vkd.
    """

    def find(path: str, file: str) -> tuple[str, str | None]:
        if '::' not in path:
            return own(path, file)
        package = path.partition('::')[0]
        # types without a scope are mmseg's in every run of vkd, so that such a base is the same experiment as its file by path
        return resolve_config(path), None if package in ('vkd', 'mmseg') else package

    with _READING:  # the class is the process's, and threads read configs too
        own = Config._get_cfg_path
        Config._get_cfg_path = staticmethod(find)
        try:
            yield
        finally:
            Config._get_cfg_path = staticmethod(own)


def load_config(path: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """A Config.

    Args:
        path: what ``resolve_config`` takes; in ``_base_`` too, ``package::path`` is found. A file of the project's own configs that has gone
            is composed from its name (``vkd.build.compose``).
        options: dotted keys to override.

    Raises:
        UserError: for a missing or broken file or key.
    """
    path = str(path)
    try:
        file = resolve_config(path)
    except UserError:
        cfg = _composed(path)  # whose parts may say better what is wrong
        if cfg is None:
            raise
    else:
        cfg = _read(path, file) if Path(file).is_file() else _composed(path)
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise UserError(
            f'Config {path!r}: the options {options} do not fit ({error}); name keys that exist.', code='no-such-option'
        ) from error
    return cfg


def _composed(path: str) -> Any:
    from .compose import compose_by_name  # which reads its parts by load_config

    return compose_by_name(path)


def _read(path: str, file: str) -> Config:
    try:
        with _packaged_bases():
            cfg = Config.fromfile(file)
    except Exception as error:  # a config is a program, and fails in every way
        told = f'{type(error).__name__}: {(str(error).splitlines() or ["no message"])[0]}'.removeprefix('UserError: ').rstrip('.')
        how = 'fix the file' + ', or let PYTHONPATH name the folder of your own modules' * isinstance(error, ImportError)
        raise UserError(f'Config {path!r} cannot be read ({told}); {how}.', code='broken-config') from error
    if file != path:  # runs and tables name it so that it is found elsewhere, too
        object.__setattr__(cfg, '_filename', path)
    return cfg


def check_packages(model: Any) -> None:
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
                'or choose another decoder, such as SegformerHead.',
                code='missing-package',
            )


def type_name(cfg: Mapping[str, Any]) -> str:
    """The name of what a config builds, without its scope; of a class its own."""
    kind = cfg.get('type')
    return str(getattr(kind, '__name__', kind)).rsplit('.', 1)[-1]


def teachers_of(model: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """``{name: role config}`` of all teachers of a Distiller's config, as the Distiller names them. Raises UserError for one that is no dict."""
    found = {**(model.get('teachers') or {}), **({'teacher': model['teacher']} if model.get('teacher') else {})}
    for name, role in found.items():
        if not isinstance(role, dict):
            raise UserError(f'{name} is {role!r}; give dict(cfg=…, checkpoint=…), or a model dict.')
    return found


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every dict inside ``value``, itself first."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        yield from _parts(inner)


def plain(value: Any) -> Any:
    """``value`` of a config as dicts, lists, numbers and strings, with sorted keys (types and functions by name)."""
    if isinstance(value, (dict, ConfigDict)):
        return {str(k): plain(value[k]) for k in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(getattr(value, '__name__', value))
