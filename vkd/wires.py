"""Between which networks a method is, and which taps of theirs it reads."""

import inspect

from torch import nn

from .errors import UserError, nearest
from .registry import METHODS


class Wire:
    """A method and the networks that it reads: ``roles`` in order, the learner first, and ``taps``, ``{role: [tap]}``."""

    def __init__(self, method, roles):
        self.method, self.roles, self.mutual = method, roles, getattr(method, 'mutual', False)
        names = [method.taps(role) for role in roles] if self.mutual else [method.student_taps, method.teacher_taps]
        self.taps = {role: list(taps) for role, taps in zip(roles, names)}


def wire_up(cfg, networks, learners):
    """The Wire of a method, from its config or the built method itself.

    Args:
        networks: ``{role: module}``, the student first. learners: names of the roles that learn by gradient.

    Raises UserError for a method that is not registered, options or roles that it does not have, or a learner that is frozen.
    """
    method, kind, options = _built(cfg)
    mutual = getattr(method, 'mutual', False)
    if mutual and {'of', 'learner'} & set(options):
        wrong = sorted({'of', 'learner'} & set(options))[0]
        raise UserError(f'Method {kind!r} works among peers, so {wrong!r} does not apply; name the roles by among=.')
    roles = list(options.get('among') or networks) if mutual else _pair(kind, networks, **options)
    for name in roles:
        if name not in networks:
            known = ', '.join(networks)
            raise UserError(f'Method {kind!r} names the role {name!r}, but the roles are {known}; {nearest(name, networks)}.')
    if len(set(roles)) < max(2, len(roles)):
        raise UserError(f'Method {kind!r} is between {", ".join(roles)}; it needs two different roles or more, of {", ".join(networks)}.')
    if not mutual and roles[0] not in learners:
        raise UserError(f'Method {kind!r}: the learner {roles[0]!r} is frozen; choose one of {", ".join(learners)}, or set trainable=True.')
    if hasattr(method, 'find_taps'):
        own = {name: networks[name] for name in roles}
        method.find_taps(own) if mutual else method.find_taps(*own.values())
    return Wire(method, roles)


def _built(cfg):
    """``(method, its name, {'of', 'learner', 'among': role names})``, as far as they are given."""
    keys = ('of', 'learner', 'among')
    if isinstance(cfg, nn.Module):
        return cfg, type(cfg).__name__, {k: getattr(cfg, k) for k in keys if getattr(cfg, k, None)}
    if not isinstance(cfg, dict) or 'type' not in cfg:
        raise UserError(f"methods holds {cfg!r}; give dict(type=…), such as dict(type='KL').")
    kind = cfg['type']
    if isinstance(kind, str) and METHODS.get(kind) is None:
        raise UserError(f'Method {kind!r} is not registered; {nearest(kind, METHODS.module_dict)}.')
    build = kind if isinstance(kind, type) else METHODS.get(kind)
    try:  # not by METHODS.build, which looks in the default scope first and warns that mmseg has no methods
        method = build(**{k: v for k, v in cfg.items() if k not in (*keys, 'type')})
    except TypeError as error:
        options = ', '.join(inspect.signature(build).parameters)
        raise UserError(f'Method {kind!r}: {error}; its options are {options}.') from error
    return method, kind, {k: cfg[k] for k in keys if cfg.get(k)}


def _pair(kind, networks, of=None, learner='student', among=None):
    """``[learner, teacher]`` of a method between two networks; the teacher is the first that there is, unless ``of`` names it."""
    others = [n for n in networks if n != learner and (n != 'student' or learner != 'student')]
    if of is None and not others:
        raise UserError(f'Method {kind!r} learns from a teacher, but there is none; add teacher= to the Distiller.')
    return [learner, of or others[0]]
