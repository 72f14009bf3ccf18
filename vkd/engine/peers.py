"""An optimizer for each network that learns, under one backward pass."""

from contextlib import contextmanager, nullcontext

import torch
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapperDict
from torch import nn

from ..build.networks import unwrapped
from ..errors import UserError, nearest
from ..registry import OPTIM_WRAPPER_CONSTRUCTORS


class PeerOptimWrapper(OptimWrapperDict):
    """mmengine's OptimWrapperDict for losses that are summed: one backward pass, then a step of each optimizer.

    Args:
        amp: autocast to bfloat16, which needs no loss scaling; float16 is not offered, since each optimizer's scaler would scale the one
            loss again.
        wrappers: ``{role: OptimWrapper}``, with equal ``accumulative_counts``.
    """

    def __init__(self, amp=False, **wrappers):
        super().__init__(**wrappers)
        self.amp = amp

    @property
    def _first(self):
        return next(iter(self.optim_wrappers.values()))

    def update_params(self, loss, step_kwargs=None, zero_kwargs=None):
        self.backward(self._first.scale_loss(loss))
        if self._first.should_update():
            self.step(**(step_kwargs or {}))
            self.zero_grad(**(zero_kwargs or {}))

    def backward(self, loss, **kwargs):
        self._first.backward(loss, **kwargs)
        for wrapper in list(self.optim_wrappers.values())[1:]:
            wrapper._inner_count += 1  # what its own backward would do; mmengine has no setter

    def step(self, **kwargs):
        for wrapper in self.optim_wrappers.values():
            wrapper.step(**kwargs)

    def zero_grad(self, **kwargs):
        for wrapper in self.optim_wrappers.values():
            wrapper.zero_grad(**kwargs)

    @contextmanager
    def optim_context(self, model):
        device = next(model.parameters()).device.type
        with self._first.optim_context(model), torch.autocast(device, torch.bfloat16) if self.amp else nullcontext():
            yield

    def initialize_count_status(self, model, init_counts, max_counts):
        for wrapper in self.optim_wrappers.values():
            wrapper.initialize_count_status(model, init_counts, max_counts)


def check_names(model, optim_wrapper, param_scheduler):
    """Raises UserError where the config of an optimizer or schedule of several learners names what is no role, or matches no parameter."""
    model = unwrapped(model)
    roles = getattr(model, 'learners', [])
    if len(roles) < 2:
        return
    if isinstance(optim_wrapper, dict) and not {'optimizer', 'constructor'} & set(optim_wrapper):
        raise UserError(
            f"optim_wrapper names {', '.join(optim_wrapper)}, but neither an optimizer nor a constructor; give one optimizer to all, or "
            f"constructor='vkd.PerRole' and one each to {', '.join(roles)}."
        )
    apart = isinstance(optim_wrapper, dict) and optim_wrapper.get('constructor') == 'vkd.PerRole'
    if isinstance(param_scheduler, dict) and 'type' not in param_scheduler and (not apart or set(param_scheduler) != set(roles)):
        raise UserError(
            f"param_scheduler names {', '.join(param_scheduler)}; "
            f"{'the roles that learn are ' + ', '.join(roles) + ': name each of them' if apart else 'give a list, or an optimizer to each role by vkd.PerRole'}."
        )
    names = [n for n, _ in model.named_parameters()]
    for key in ((optim_wrapper or {}).get('paramwise_cfg') or {}).get('custom_keys') or {}:
        if not any(key in n for n in names):
            raise UserError(f"optim_wrapper: custom key {key!r} matches no parameter; those of the roles begin with {', '.join(roles)}.")


def part_of(module, owned, prefix=''):
    """``module`` with those parameters only whose full names are in ``owned``: itself, a stand-in of the same names, or None."""
    names = {n for n, _ in module.named_parameters(prefix=prefix)}
    if names <= owned:
        return module if names else None
    if not names & owned:
        return None
    out = nn.Module()
    for name, parameter in module.named_parameters(recurse=False):
        if f'{prefix}.{name}'.lstrip('.') in owned:
            out.register_parameter(name, parameter)
    for name, child in module.named_children():
        kept = part_of(child, owned, f'{prefix}.{name}'.lstrip('.'))
        if kept is not None:
            out.add_module(name, kept)
    return out


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PerRole:
    """Builds a PeerOptimWrapper for a Distiller::

        optim_wrapper = dict(constructor='vkd.PerRole', student=dict(optimizer=dict(type='SGD', …)), vit=dict(optimizer=dict(type='AdamW',
        …), paramwise_cfg=…, clip_grad=…))

    A role's optimizer has its network and what it learns by in the methods (``Distiller.owner``). Beside the roles:
    ``accumulative_counts``, ``amp``. Schedules go by role too: ``param_scheduler = dict(student=[…], vit=[…])``.

    Raises:
        UserError: for a role that does not learn, or one that learns and has no optimizer.
    """

    def __init__(self, optim_wrapper_cfg, paramwise_cfg=None):
        self.cfg = {k: v for k, v in optim_wrapper_cfg.items() if k != 'type'}
        if paramwise_cfg:
            raise UserError('optim_wrapper: paramwise_cfg belongs to a role here; move it into one of them.')

    def __call__(self, model):
        model = unwrapped(model)
        roles = getattr(model, 'learners', None)
        if roles is None:
            raise UserError(
                f"optim_wrapper: constructor='vkd.PerRole' is for a vkd.Distiller, not for a {type(model).__name__}; remove it."
            )
        cfg = dict(self.cfg)
        amp, counts = cfg.pop('amp', False), cfg.pop('accumulative_counts', 1)
        wrong = [name for name in cfg if name not in roles]
        if wrong:
            raise UserError(f'optim_wrapper: {wrong[0]!r} is no role that learns; {nearest(wrong[0], roles)}.')
        missing = [name for name in roles if name not in cfg]
        if missing:
            raise UserError(
                f'optim_wrapper: {missing[0]!r} learns but has no optimizer; give one to each of {", ".join(roles)}, or one optimizer to '
                'all without constructor.'
            )
        wrappers = {}
        for role in roles:
            own = dict(cfg[role])
            own.setdefault('type', 'OptimWrapper')
            if own['type'] != 'OptimWrapper' or own.get('accumulative_counts', counts) != counts:
                raise UserError(
                    f"optim_wrapper: {role!r} has type {own['type']!r} and accumulative_counts {own.get('accumulative_counts', counts)}; "
                    "each role's is a plain OptimWrapper, "
                    'and amp and accumulative_counts stand once, beside the roles.'
                )
            own['accumulative_counts'] = counts
            owned = {n for n, p in model.named_parameters() if model.owner(n) == role}
            wrappers[role] = DefaultOptimWrapperConstructor(own, own.pop('paramwise_cfg', None))(part_of(model, owned))
        return PeerOptimWrapper(amp, **wrappers)
