"""A longer run of the same config: its iterations, validations, checkpoints and every parameter schedule stretched by one factor."""

import copy
import math
from fractions import Fraction
from typing import Any

from ..errors import UserError
from .config import type_name

#: options of a schedule that count steps (iterations or epochs), and are stretched
_STEPS = {'begin', 'end', 'T_max', 'total_iters', 'total_steps', 'milestones', 'step_size', 'periods'}
#: options of any schedule that count nothing
_PLAIN = {'type', '_scope_', 'by_epoch', 'convert_to_iter_based', 'param_name', 'verbose'}
#: mmengine's schedules, without the LR, Momentum or ParamScheduler at the end of their names, and their options that count nothing
_VALUES = {
    'Constant': {'factor'},
    'CosineAnnealing': {'eta_min', 'eta_min_ratio'},
    'CosineRestart': {'eta_min', 'eta_min_ratio', 'restart_weights'},
    'Exponential': {'gamma'},
    'Linear': {'start_factor', 'end_factor'},
    'MultiStep': {'gamma'},
    'OneCycle': {'eta_max', 'pct_start', 'anneal_strategy', 'div_factor', 'final_div_factor', 'three_phase'},
    'Poly': {'eta_min', 'power'},
    'Step': {'gamma'},
}
#: mmengine's word for "to the end of training", which stays it
_NEVER = int(1e9)


def stretched(content: dict[str, Any], factor: float) -> dict[str, Any]:
    """The config ``content`` (plain dicts and lists) of a run that is ``factor`` times as long; a copy, equal where ``factor`` is 1.

    Iterations or epochs become ``factor`` times as many, rounded to a whole number (halves up). Everything else is stretched by what that
    makes of the factor, so that a schedule which ended with the training still does: every parameter schedule as a whole, warm-up
    included (``begin``, ``end``, ``T_max``, ``total_iters``, ``total_steps``, ``milestones``, ``step_size``, ``periods``; the ``gamma`` of an
    exponential one takes the root), one or a list, for all roles or for each; ``val_interval`` and the interval of a CheckpointHook, so
    that there are as many validations and checkpoints as before; and where validations, checkpoints and a moving average begin.

    Raises:
        UserError: where the training has no length, or a schedule has an option of which vkd does not know whether it counts steps.
    """
    out = copy.deepcopy(content)
    if factor == 1:
        return out
    train = out.get('train_cfg') or {}
    unit = next((key for key in ('max_iters', 'max_epochs') if train.get(key)), None)
    if unit is None:
        raise UserError('train_cfg names neither max_iters nor max_epochs, so that no longer run follows from it; name one.')
    old = train[unit]
    train[unit] = new = _steps(old, Fraction(str(factor)))  # as written: 1.7 is 17/10
    ratio = Fraction(new, old)
    train['val_interval'] = _interval(train.get('val_interval', 1000 if unit == 'max_iters' else 1), old, ratio)
    _stretch(train, ('val_begin',), ratio)
    if train.get('dynamic_intervals'):
        train['dynamic_intervals'] = [(_steps(begin, ratio), _interval(every, old, ratio)) for begin, every in train['dynamic_intervals']]
    for hook in [*(out.get('default_hooks') or {}).values(), *(out.get('custom_hooks') or [])]:
        if isinstance(hook, dict):
            _hook(hook, old, ratio)
    if out.get('param_scheduler'):
        out['param_scheduler'] = _schedules('param_scheduler', out['param_scheduler'], ratio)
    return out


def stretching(content: dict[str, Any], factor: float) -> dict[str, Any]:
    """``{dotted option: value}`` that turn the config ``content`` into ``stretched(content, factor)``."""
    return _changes(content, stretched(content, factor))


def _changes(before: Any, after: Any, path: str = '') -> dict[str, Any]:
    if isinstance(before, dict) and isinstance(after, dict):
        pairs = {key: (before.get(key), value) for key, value in after.items()}
    elif isinstance(before, list) and isinstance(after, list) and any(isinstance(value, dict) for value in before):
        pairs = dict(enumerate(zip(before, after, strict=True)))
    else:
        return {} if before == after else {path: after}
    return {k: v for key, pair in pairs.items() for k, v in _changes(*pair, f'{path}.{key}' if path else str(key)).items()}


def _steps(value: Any, ratio: Fraction) -> Any:
    """A number of steps, or a list of them, times ``ratio``: whole numbers stay whole (halves up) and, from one, at least one."""
    if isinstance(value, (list, tuple)):
        return type(value)(_steps(v, ratio) for v in value)
    if isinstance(value, float):  # epochs, of a schedule that is converted to iterations
        return float(value * ratio)
    if value is None or value <= 0 or value >= _NEVER:
        return value
    return max(1, math.floor(value * ratio + Fraction(1, 2)))


def _interval(every: int, length: int, ratio: Fraction) -> int:
    """The interval in ``ratio`` times ``length`` steps that comes as often as ``every`` does in ``length``, or nearest to that; the last step
    counts in any case.
    """
    if every <= 0:
        return every
    exact, times = every * ratio, math.ceil(Fraction(length, every))
    return min(
        (max(1, i) for i in (math.ceil(exact), math.floor(exact))),
        key=lambda i: (abs(math.ceil(length * ratio / i) - times), abs(i - exact)),
    )


def _stretch(options: dict[str, Any], names: tuple[str, ...], ratio: Fraction) -> None:
    options.update({name: _steps(options[name], ratio) for name in names if name in options})


def _hook(hook: dict[str, Any], length: int, ratio: Fraction) -> None:
    kind = type_name(hook)
    if kind == 'CheckpointHook':
        _stretch(hook, ('save_begin',), ratio)
        if 'interval' in hook:
            hook['interval'] = _interval(hook['interval'], length, ratio)
    elif kind == 'EMAHook':
        _stretch(hook, ('begin_iter', 'begin_epoch'), ratio)


def _schedules(path: str, given: Any, ratio: Fraction) -> Any:
    """One schedule, a list of them, or ``{role: either}``, stretched."""
    if isinstance(given, (list, tuple)):
        return type(given)(_schedules(f'{path}.{i}', one, ratio) for i, one in enumerate(given))
    if isinstance(given, dict) and 'type' not in given:
        return {role: _schedules(f'{path}.{role}', own, ratio) for role, own in given.items()}
    return _schedule(path, given, ratio) if isinstance(given, dict) else given


def _schedule(path: str, given: dict[str, Any], ratio: Fraction) -> dict[str, Any]:
    kind = type_name(given)
    family = next((kind[: -len(end)] for end in ('LR', 'Momentum', 'ParamScheduler') if kind.endswith(end)), kind)
    if family == 'ReduceOnPlateau':
        raise UserError(f'{path} ({kind}) follows the scores, so it has no length to stretch; give a schedule of a fixed length.')
    out = {}
    for name, value in given.items():
        if name in _STEPS:
            out[name] = _steps(value, ratio)
        elif name in _PLAIN or name in _VALUES.get(family, ()):
            out[name] = value ** float(1 / ratio) if (family, name) == ('Exponential', 'gamma') else value
        else:
            raise UserError(
                f'{path} ({kind}) cannot be stretched: it is not known whether its option {name!r} counts steps; give one of '
                f"mmengine's schedules of a fixed length ({', '.join(f'{known}LR' for known in _VALUES)})."
            )
    return out
