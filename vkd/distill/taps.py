"""Taps: named places in a network whose output (or input) is read during one call, through forward hooks.

A tap is a module path, optionally with an index into a tuple output and the prefix ``in:`` for the module's first input::

    decode_head.conv_seg      output of that module
    backbone[2]               third item of the backbone's output tuple
    in:decode_head.conv_seg   what goes into the classifier
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ..errors import UserError, nearest

#: what a data preprocessor gives a network: an image ``[B, C, H, W]``, or several by name
Inputs = torch.Tensor | dict[str, torch.Tensor]

_TAP = re.compile(r'^(?P<side>in:)?(?P<path>[^\[\]:]*)(?:\[(?P<index>-?\d+)\])?$')


class _Stop(Exception):
    """Ends a forward pass at its last needed tap."""


def parse_tap(tap: str) -> tuple[bool, str, int | None]:
    """``'in:a.b[2]'`` -> ``(True, 'a.b', 2)``. Raises UserError on a malformed tap.

    >>> parse_tap('in:a.b[2]')
    (True, 'a.b', 2)
    >>> parse_tap('decode_head.conv_seg')
    (False, 'decode_head.conv_seg', None)
    """
    match = _TAP.match(tap) if isinstance(tap, str) else None
    if match is None:
        raise UserError(
            f"Tap {tap!r} is not of the form 'module.path', 'module.path[index]' or 'in:module.path'; fix its spelling.", code='no-such-tap'
        )
    index = match['index']
    return bool(match['side']), match['path'], None if index is None else int(index)


def resolve_tap(model: nn.Module, tap: str, role: str = 'model') -> nn.Module:
    """The module that ``tap`` names. Raises UserError, with the nearest names, where there is none."""
    path = parse_tap(tap)[1]
    modules = dict(model.named_modules())
    if path not in modules:
        raise UserError(
            f'Tap {tap!r}: the {role} ({type(model).__name__}) has no module {path!r}; {nearest(path, modules)}.', code='no-such-tap'
        )
    module: nn.Module = modules[path]
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        raise UserError(
            f'Tap {tap!r}: {path!r} of the {role} is a {type(module).__name__}, a container that never runs itself; '
            f'tap one of its children, for example {path + "." + next(iter(module._modules), "0")!r}.',
            code='tap-never-ran',
        )
    return module


class TapReader:
    """Reads ``taps`` of ``model`` while it runs.

    ``stop=True`` ends the pass once every tap was seen as often as in the probe (``calls``), so that nothing deeper is
    computed; the forward's return value is then ``None``.

    A module with ``when_tapped`` has it called here, before anything is read: it is a place that a network computes on demand only.
    """

    def __init__(self, model: nn.Module, taps: Iterable[str], role: str = 'model') -> None:
        self.role = role
        self.taps = list(dict.fromkeys(taps))
        self._where = {tap: (resolve_tap(model, tap, role), *parse_tap(tap)) for tap in self.taps}
        for module, *_ in self._where.values():
            tapped: Callable[[], object] | None = getattr(module, 'when_tapped', None)
            if tapped is not None:
                tapped()
        self.calls: dict[str, int] | None = None

    @contextmanager
    def _hooks(self, out: dict[str, torch.Tensor], seen: dict[str, int], stop: bool) -> Iterator[None]:
        handles, calls = [], self.calls or {}

        def note(tap: str, value: Any, index: int | None) -> None:
            if index is not None:
                if not isinstance(value, (tuple, list)) or not -len(value) <= index < len(value):
                    found = f'{len(value)} items' if isinstance(value, (tuple, list)) else type(value).__name__
                    raise UserError(
                        f'Tap {tap!r} of the {self.role}: index {index} was asked for but the module gives {found}; choose an index that '
                        'exists.'
                    )
                value = value[index]
            if not isinstance(value, torch.Tensor):
                raise UserError(
                    f'Tap {tap!r} of the {self.role} gives a {type(value).__name__}, not a tensor; add an index such as {tap + "[0]"!r}.'
                )
            out[tap] = value
            seen[tap] = seen.get(tap, 0) + 1
            if stop and all(seen.get(t, 0) >= calls[t] for t in self.taps):
                raise _Stop

        def keep_input(tap: str, index: int | None) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
            # kwargs too: a module may be called with keyword arguments only
            def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                first = args[0] if args else next(iter(kwargs.values()))
                note(tap, first, index)

            return hook

        for tap, (module, is_input, _, index) in self._where.items():
            if is_input:
                handles.append(module.register_forward_pre_hook(keep_input(tap, index), with_kwargs=True))
            else:
                handles.append(module.register_forward_hook(lambda m, a, y, tap=tap, index=index: note(tap, y, index)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def read(self, call: Callable[[], Any], stop: bool = False) -> tuple[Any, dict[str, torch.Tensor]]:
        """Runs ``call()`` and returns ``(its result or None when stopped, {tap: tensor})``."""
        out: dict[str, torch.Tensor] = {}
        seen: dict[str, int] = {}
        if not self.taps:
            return (None if stop else call()), out
        with self._hooks(out, seen, stop and self.calls is not None):
            try:
                result = call()
            except _Stop:
                result = None
        missing = [tap for tap in self.taps if tap not in out]
        if missing:
            raise UserError(
                f'Tap {missing[0]!r} of the {self.role} never ran in a forward pass; tap a module that runs (a parent or one of its '
                'children).',
                code='tap-never-ran',
            )
        self.last_seen = seen
        return result, out

    def probe(self, call: Callable[[], Any]) -> dict[str, tuple[int, ...]]:
        """One tiny forward: checks every tap and remembers how often each runs. Returns ``{tap: shape}``."""
        _, out = self.read(call)
        self.calls = dict(getattr(self, 'last_seen', {}))
        return {tap: tuple(value.shape) for tap, value in out.items()}


def student_input(inputs: Inputs) -> torch.Tensor:
    """The student's image ``[B, C, H, W]``: the only input, or the one named ``student`` (else the first) of several."""
    if isinstance(inputs, dict):
        return inputs['student'] if 'student' in inputs else next(iter(inputs.values()))
    return inputs


# -- taps that a network has by its kind ------------------------------------------------------------------------------------
def _is(module: nn.Module, name: str, package: str) -> bool:
    """Whether ``module`` is of the class ``name`` of ``package``, or of a child of it; the package need not be imported for that."""
    return any(c.__name__ == name and c.__module__.split('.')[0] == package for c in type(module).__mro__)


def stages_of(model: nn.Module, owner: str, role: str = 'model') -> tuple[list[str], list[str]]:
    """``(stage taps, patch embedding taps)``, four each, of the hierarchical transformer inside ``model``: mmseg's MixVisionTransformer,
    timm's pvt_v2 in a TIMMBackbone, or any backbone with ``embedding_taps`` (one a stage) and ``out_indices``, as the
    LiteVisionTransformer has them.

    Raises UserError, in the name of ``owner``, where there is none, or where it gives other than four stages.
    """
    for path, module in model.named_modules():
        dot = path + '.' if path else ''
        inner = getattr(module, 'timm_model', None)
        if _is(module, 'MixVisionTransformer', 'mmseg'):
            given, embeddings = list(module.out_indices), [f'layers.{i}.0[0]' for i in range(len(module.layers))]
        elif hasattr(module, 'embedding_taps'):
            given, embeddings = list(module.out_indices), list(module.embedding_taps)
        elif inner is not None and hasattr(inner, 'patch_embed') and hasattr(inner, 'stages_1') and hasattr(inner.stages_1, 'downsample'):
            count = len(inner.feature_info.channels()) if callable(getattr(inner.feature_info, 'channels', None)) else 0
            given = list(range(count))
            embeddings = ['timm_model.patch_embed', *(f'timm_model.stages_{i}.downsample' for i in range(1, count))]
        else:
            continue
        if given != [0, 1, 2, 3] or len(embeddings) != 4:
            raise UserError(
                f'{owner}: {path!r} of the {role} has {len(embeddings)} stages and gives {given}; it needs four stages with '
                'out_indices=(0, 1, 2, 3).'
            )
        return [f'{path}[{i}]' for i in range(4)], [dot + tap for tap in embeddings]
    raise UserError(
        f'{owner}: no patch embeddings were found in the {role} ({type(model).__name__}); name them by {role}_stages and '
        f'{role}_embeddings, four taps each.'
    )


def patch_embedding_of(model: nn.Module, owner: str) -> str:
    """Tap of the patch embedding of ``model``: its first module whose class is named ``…PatchEmbed``. Raises UserError, in the name of
    ``owner``, where there is none.
    """
    for path, module in model.named_modules():
        if type(module).__name__.endswith('PatchEmbed'):
            tap: str = path + '[0]' * _is(module, 'PatchEmbed', 'mmseg')  # mmseg's gives the grid too
            return tap
    raise UserError(
        f'{owner}: the student ({type(model).__name__}) has no patch embedding in which a mask could be drawn; name its module by embed=, '
        'or set mask_weight=0.'
    )
