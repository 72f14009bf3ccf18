"""Between which networks a method is, which taps of theirs it reads, and whether what it gives is what the Distiller can use."""

import inspect
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from ..errors import UserError, nearest, of_a_method
from ..registry import METHODS
from .method import Method, near_miss
from .taps import TapReader

#: how the Distiller calls a method between two networks, and one among peers
CALLS = dict(
    forward=('student', 'teacher', 'batch'),
    setup=('student_shapes', 'teacher_shapes'),
    find_taps=('student', 'teacher'),
    check_image=('image',),
)
PEER_CALLS = dict(forward=('peers', 'batch'), setup=('shapes', 'learners'), find_taps=('networks',), check_image=('image',), taps=('role',))


class NothingAdded(UserError):
    """A method adds nothing to the objective. ``sentences`` has one for each such method, ``losses`` what all of them gave."""

    def __init__(self, sentences: list[str], losses: dict[str, Any]) -> None:
        super().__init__(sentences[0], code='adds-nothing')
        self.sentences, self.losses = sentences, losses


class Wire:
    """A method and the networks that it reads.

    ``roles`` are their names in order, the learner first; ``learners`` those of them that the method teaches; ``taps`` is ``{role: [tap]}``;
    ``again`` reads the learner's taps in a second pass, where the method has one; ``tried`` says whether it was seen to add to the
    objective.
    """

    def __init__(self, method: Method, roles: list[str], learners: list[str]) -> None:
        self.method, self.roles, self.mutual = method, roles, method.mutual
        self.learners = [role for role in roles if role in learners] if self.mutual else roles[:1]
        if self.mutual:
            taps_of: Any = method.taps  # a method among peers has it
            named = [(f'taps({role!r})', taps_of(role)) for role in roles]
        else:
            named = [('student_taps', method.student_taps), ('teacher_taps', method.teacher_taps)]
        self.taps = {role: _tap_list(method, role, name, taps) for role, (name, taps) in zip(roles, named, strict=True)}
        self.again: TapReader | None = None
        self.tried = False

    @property
    def name(self) -> str:
        return type(self.method).__name__

    def setup(self, shapes: Mapping[str, Mapping[str, tuple[int, ...]]]) -> None:
        """Tells the method the shapes of its taps, of ``{role: {tap: shape}}``, and freezes what it declares to be without gradient."""
        own = {name: {t: shapes[name][t] for t in taps} for name, taps in self.taps.items()}
        with of_a_method():
            setup: Any = self.method.setup  # called in the way of its kind, see CALLS
            setup(own, self.learners) if self.mutual else setup(*own.values())
        parameters = dict(self.method.named_parameters())
        for name in self.method.without_gradient:
            if name not in parameters:
                raise UserError(f'{self.name}: without_gradient names {name!r}, which is no parameter of it; {nearest(name, parameters)}.')
            parameters[name].requires_grad_(False)

    def terms(
        self, seen: Mapping[str, Mapping[str, torch.Tensor]], batch: Mapping[str, Any], *again: Mapping[str, torch.Tensor]
    ) -> Mapping[str, Any]:
        """The method's dict of terms, of ``{role: {tap: tensor}}``. Raises UserError where it returns something else."""
        own = {name: {t: seen[name][t] for t in taps} for name, taps in self.taps.items()}
        terms = self.method(own, batch) if self.mutual else self.method(*own.values(), batch, *again)
        if not isinstance(terms, Mapping):
            raise UserError(f"{self.name}.forward returns {_told(terms)}; return a dict of terms, such as dict(loss_x=…).")
        for key, value in terms.items():
            listed = isinstance(value, (list, tuple)) and all(isinstance(v, torch.Tensor) for v in value)
            if not isinstance(key, str) or not (isinstance(value, torch.Tensor) or listed):
                raise UserError(f'{self.name}.forward returns {_told(value)} as {key!r}; each term is a tensor, or a list of tensors.')
        return terms

    def nothing_added(self, terms: Mapping[str, Any], taps: list[torch.Tensor], parameters: set[int]) -> str | None:
        """Why ``terms`` add nothing to the objective, in a sentence; None where they do.

        A term adds to it where its key has ``loss`` in it and its graph leads to one of ``taps`` of the learners, or to a parameter whose id
        is in ``parameters``; its value may be 0 in this step. Only the graph is looked at, no value: the device does not wait.
        """
        keys = [key for key in terms if 'loss' in key]
        if not keys:
            given = f'returns only {", ".join(map(repr, terms))}' if terms else 'returns no term'
            return f"{self.name} adds nothing to the objective: it {given}, and only keys with 'loss' in them are summed; rename the key."
        tensors = [t for key in keys for t in (terms[key] if isinstance(terms[key], (list, tuple)) else [terms[key]])]
        if leads_to(tensors, taps, parameters):
            return None
        return (
            f'{self.name} adds nothing to the objective: no gradient of {", ".join(map(repr, keys))} reaches {" or ".join(self.learners)}; '
            'do not detach the learner, and tap a part of it that is trained.'
        )


def leads_to(tensors: list[torch.Tensor], taps: list[torch.Tensor], parameters: set[int]) -> bool:
    """Whether the graph of any of ``tensors`` leads to one of ``taps``, or to a leaf whose id is in ``parameters``."""
    leaves = parameters | {id(t) for t in taps if t.is_leaf and t.requires_grad}
    goals = [t.grad_fn for t in taps if t.grad_fn is not None]  # a node is one object as long as somebody holds it
    found, todo = set(goals), [t.grad_fn for t in tensors if t.grad_fn is not None]
    if any(id(t) in leaves for t in tensors):
        return True
    seen = set()
    while todo:
        node = todo.pop()
        if node in found or id(getattr(node, 'variable', None)) in leaves:
            return True
        if node not in seen:
            seen.add(node)
            todo += [parent for parent, _ in node.next_functions if parent is not None]
    return False


def wire_up(cfg: Any, networks: Mapping[str, nn.Module], learners: list[str]) -> Wire:
    """The Wire of a method, from its config or the built method itself.

    Args:
        networks: ``{role: module}``, the student first.
        learners: names of the roles that learn by gradient.

    Raises:
        UserError: for a method that is not registered or no ``Method``, options or roles that it does not have, a learner that is frozen,
            and what its author forgot: taps, ``super().__init__()``, an argument of ``forward``.
    """
    method, kind, options = _built(cfg)
    mutual = method.mutual
    if mutual and {'of', 'learner'} & set(options):
        wrong = sorted({'of', 'learner'} & set(options))[0]
        raise UserError(f'Method {kind!r} works among peers, so {wrong!r} does not apply; name the roles by among=.')
    roles = list(options.get('among') or networks) if mutual else _pair(kind, networks, **options)
    for name in roles:
        if name not in networks:
            known = ', '.join(networks)
            raise UserError(
                f'Method {kind!r} names the role {name!r}, but the roles are {known}; {nearest(name, networks)}.', code='no-such-role'
            )
    if len(set(roles)) < max(2, len(roles)):
        raise UserError(f'Method {kind!r} is between {", ".join(roles)}; it needs two different roles or more, of {", ".join(networks)}.')
    if not mutual and roles[0] not in learners:
        raise UserError(
            f'Method {kind!r}: the learner {roles[0]!r} is frozen; choose one of {", ".join(learners)}, or set trainable=True.',
            code='frozen-learner',
        )
    own = {name: networks[name] for name in roles}
    with of_a_method():
        find_taps: Any = method.find_taps  # called in the way of its kind, see CALLS
        find_taps(own) if mutual else find_taps(*own.values())
    return Wire(method, roles, learners)


def _built(cfg: Any) -> tuple[Method, str, dict[str, Any]]:
    """``(method, its name, {'of', 'learner', 'among': role names})``, as far as they are given."""
    keys = ('of', 'learner', 'among')
    if isinstance(cfg, nn.Module):
        _check_written(cfg)
        return cast(Method, cfg), type(cfg).__name__, {k: getattr(cfg, k) for k in keys if getattr(cfg, k)}
    if not isinstance(cfg, dict) or 'type' not in cfg:
        raise UserError(f"methods holds {cfg!r}; give dict(type=…), such as dict(type='KL').")
    kind = cfg['type']
    if isinstance(kind, str) and METHODS.get(kind) is None:
        raise UserError(f'Method {kind!r} is not registered; {nearest(kind, METHODS.module_dict)}.', code='no-such-method')
    build = kind if isinstance(kind, type) else METHODS.get(kind)
    _check_kind(build)
    options = {k: v for k, v in cfg.items() if k not in (*keys, 'type')}
    _check_options(kind, build, options)
    try:  # not by METHODS.build, which looks in the default scope first and warns that mmseg has no methods
        with of_a_method():
            method = build(**options)
    except AttributeError as error:
        if 'Module.__init__() call' not in str(error):  # torch's words for a module that is set too early
            raise
        raise UserError(f'{build.__name__}.__init__ does not call super().__init__() first; add it, before anything is set.') from error
    _check_written(method)
    return method, kind, {k: cfg[k] for k in keys if cfg.get(k)}


def _check_kind(kind: type) -> None:
    if not issubclass(kind, Method):
        raise UserError(
            f'{kind.__name__} is no vkd.Method, which has what the Distiller asks of a method; inherit from vkd.PairMethod (one term a pair '
            'of taps), vkd.PeerMethod (among peers), or vkd.Method.',
            code='not-a-method',
        )


def _check_options(kind: Any, build: type, options: Mapping[str, Any]) -> None:
    """Raises UserError for an option that ``build`` does not have, or lacks: before it is called, so that its own errors stay its own."""
    signature = inspect.signature(build)
    try:
        signature.bind(**options)
    except TypeError as error:
        known = list(signature.parameters)
        for name in options:
            if name not in known:
                raise UserError(
                    f'Method {kind!r} has no option {name!r}; {nearest(name, known)}; its options are {", ".join(known)}.',
                    code='no-such-option',
                ) from error
        raise UserError(f'Method {kind!r}: {error}; its options are {", ".join(known)}.', code='missing-option') from error


def _check_written(method: nn.Module) -> None:
    """Raises UserError for what an author forgot: the base class, its ``__init__``, or arguments by which the Distiller calls."""
    kind = type(method)
    _check_kind(kind)
    if '_modules' not in vars(method):
        raise UserError(f'{kind.__name__}.__init__ does not call super().__init__() first; add it, before anything is set.')
    if kind.forward is nn.Module.forward:
        raise UserError(
            f'{kind.__name__} has no forward; write forward(self, {", ".join(CALLS["forward"])}), which returns a dict of terms.'
        )
    for call, names in (PEER_CALLS if method.mutual else CALLS).items():
        if call == 'forward' and method.second_pass is not None:
            names = (*names, 'masked')
        if getattr(kind, call) is None:
            raise UserError(f'{kind.__name__} is among peers (mutual=True) and has no {call}; write {call}(self, {", ".join(names)}).')
        signature = inspect.signature(getattr(method, call))
        try:
            signature.bind(*names)
        except TypeError as error:
            raise UserError(
                f'{kind.__name__}.{call} takes ({", ".join(signature.parameters)}), but is called with ({", ".join(names)}); '
                f'write {call}(self, {", ".join(names)}).'
            ) from error


def _tap_list(method: Method, role: str, name: str, taps: Any) -> list[str]:
    """``taps`` of the role as a list. Raises UserError for a text, or for none."""
    kind = type(method).__name__
    if isinstance(taps, str) or not isinstance(taps, (list, tuple)):
        example = repr([taps]) if isinstance(taps, str) else "['decode_head.conv_seg']"
        raise UserError(f'{kind}: {name} is {taps!r}; give a list of taps, such as {example}.')
    if not taps:
        like = [n for n in (*vars(method), *vars(type(method))) if near_miss(n, [name], 0.8)]
        raise UserError(
            f'{kind}: {name} is empty, so nothing of the {role} is read; set it to a list of taps'
            + (f' (there is {like[0]!r}, which nobody reads).' if like else ', or let find_taps set it.')
        )
    return list(taps)


def _told(value: Any) -> str:
    shape = f' of shape {tuple(value.shape)}' if isinstance(value, torch.Tensor) else ''
    return f'a {type(value).__name__}{shape}'


def _pair(kind: Any, networks: Mapping[str, nn.Module], of: str | None = None, learner: str = 'student', among: Any = None) -> list[str]:
    """``[learner, teacher]`` of a method between two networks; the teacher is the first that there is, unless ``of`` names it."""
    others = [n for n in networks if n != learner and (n != 'student' or learner != 'student')]
    if of is None and not others:
        raise UserError(f'Method {kind!r} learns from a teacher, but there is none; add teacher= to the Distiller.')
    return [learner, of or others[0]]
