"""What a method is: what the Distiller asks of one, written down with its defaults, and the base of those that compare pairs of taps.

Methods among peers have their base in ``vkd.distill.peers``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from difflib import get_close_matches
from typing import Any, ClassVar

import torch
from torch import nn

from ..errors import UserError
from ..schema import POSITIVE, TEXT, Rule, check_value, either, list_of, name_of
from .align import align_size, channel_adapter, channels_of, token_grid, tokens_to_map

Shapes = Mapping[str, tuple[int, ...]]
Tensors = Mapping[str, torch.Tensor]

#: what the Distiller reads or calls on a method; a name that is nearly one of these is taken for a typing mistake
INTERFACE = (
    'mutual',
    'without_gradient',
    'student_taps',
    'teacher_taps',
    'taps',
    'find_taps',
    'setup',
    'check_image',
    'second_pass',
    'forward',
)


class Method(nn.Module):
    """A way to teach. A subclass writes ``forward`` and names its taps; everything else has the default that stands here.

    ``forward(student, teacher, batch)`` gets ``{tap: tensor}`` of the learner and of its teacher, and ``batch`` with ``inputs``,
    ``data_samples``, ``iter``, ``progress`` (0 to 1) and ``sizes`` (``(H, W)`` of what each of the two networks saw). It returns a dict of
    tensors, or lists of tensors: keys with ``loss`` in them are summed into the objective, others are only logged.

    Options are ordinary arguments of ``__init__``; ``keep`` checks them by ``rules`` and keeps them.

    Raises:
        UserError: when a subclass is written, for a name that is nearly one of the interface's, such as ``set_up``.
    """

    #: ``{option: Rule}`` by which ``keep`` checks; those of the parent classes hold too
    rules: ClassVar[Mapping[str, Rule]] = {}
    #: whether it is among peers: then ``taps(role)`` stands for the two lists, and ``setup``, ``find_taps`` and ``forward`` take all roles
    mutual: bool = False
    taps: Callable[[str], Iterable[str]] | None = None
    #: lists of the taps that are read of the learner and of its teacher; of the class, or set by ``__init__`` or ``find_taps``
    student_taps: Sequence[str] = ()
    teacher_taps: Sequence[str] = ()
    #: names of own parameters that no term reaches; the Distiller freezes them after ``setup``
    without_gradient: Iterable[str] = ()
    #: a context manager of the learner, ``with second_pass(network)``, in which it runs once more, up to its deepest tap; ``forward`` then
    #: gets those taps as a fourth argument. None: there is no second pass
    second_pass: Callable[[nn.Module], AbstractContextManager[Any]] | None = None
    #: of a method that is built already: the names of its roles, as a config gives them
    of: str | None = None
    learner: str | None = None
    among: list[str] | None = None

    def __init__(self) -> None:
        super().__init__()

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.rules = {**super(cls, cls).rules, **vars(cls).get('rules', {})}  # type: ignore[misc]  # the next parent has some
        for name in vars(cls):
            meant = near_miss(name)
            if meant and not any(name in vars(base) for base in cls.__mro__[1:]):
                raise UserError(
                    f'{cls.__name__}.{name}: the Distiller knows {meant!r} and not {name!r}; rename it, or choose a name that is less alike.'
                )

    def keep(self, **options: Any) -> None:
        """Keeps each option as an attribute of its name. Raises UserError where the rule of that name in ``rules`` refuses the value."""
        for name, value in options.items():
            setattr(self, name, check_value(type(self).__name__, name, value, self.rules[name]) if name in self.rules else value)

    def some_weight(self, *names: str) -> None:
        """Raises UserError where the options of these ``names`` are all 0, so that nothing would be distilled."""
        if not any(getattr(self, name) for name in names):
            raise UserError(
                f'{type(self).__name__}: {", ".join(names)} are all 0, so nothing would be distilled; set one, or take it out.',
                code='adds-nothing',
            )

    def find_taps(self, student: nn.Module, teacher: nn.Module) -> None:
        """Called once with the two networks, before taps are tried, for a method that finds its taps itself."""

    def setup(self, student_shapes: Shapes, teacher_shapes: Shapes) -> None:
        """Called once, at build, with ``{tap: shape}`` of a tiny forward pass; makes the adapters."""

    def check_image(self, image: torch.Tensor) -> None:
        """Called with the student's image ``[B, C, H, W]`` before the networks run. Raises UserError for one that the method cannot take."""


def near_miss(name: str, names: Iterable[str] = INTERFACE, cutoff: float = 0.92) -> str | None:
    """The one of ``names`` that ``name`` nearly is, apart from capitals and underscores; None where it is one of them, or like none."""
    if name.startswith('_') or name in INTERFACE or hasattr(Method, name):
        return None
    plain = {_plain(n): n for n in names}
    close = get_close_matches(_plain(name), plain, 1, cutoff)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return name.lower().replace('_', '')


class PairMethod(Method):
    """One term for each pair of taps: ``loss(student, teacher)`` of two maps, after the adapter and on one grid.

    A subclass writes ``loss``, and may declare the four attributes below. It needs an ``__init__`` only for options of its own, which then
    calls ``super().__init__(student, teacher, loss_weight, align)`` and ``keep`` for the rest.

    Args:
        student: a tap of a map ``[B, C, H, W]`` or of tokens ``[B, N, C]`` (row by row, a grid of the shape of the image that this network
            sees; they are made a map), or a list of taps.
        teacher: a tap, or a list of equally many.
        loss_weight: above 0.
        align: whose grid is kept where they differ, 'student' or 'teacher'.

    Raises:
        UserError: for lists of unequal length or none, options out of range, and, at ``setup``, shapes that ``equal`` refuses.
    """

    rules = dict(
        student=either(TEXT, list_of(TEXT, wanted='a list of taps')),
        teacher=either(TEXT, list_of(TEXT, wanted='a list of taps')),
        loss_weight=POSITIVE,
        align=name_of(('student', 'teacher')),
    )
    #: key of the term
    loss_key: str = 'loss_pair'
    #: a 1x1 convolution, trained with the student, from the learner's channels to the teacher's: 'never', 'auto' (where they differ), or
    #: 'always'
    adapts: str = 'never'
    #: what must be equal at the taps: None, 'classes' (the channels of logits), or 'shapes' (of images; nothing is resized)
    equal: str | None = None
    #: several pairs: 'sum' or 'mean' of their terms, or 'one' where there can be only one pair
    pairs: str = 'sum'
    loss_weight: float
    align: str
    adapter: nn.Module

    def __init__(self, student: str | list[str], teacher: str | list[str], loss_weight: float = 1.0, align: str = 'student') -> None:
        super().__init__()
        name = type(self).__name__
        for key, value in (('student', student), ('teacher', teacher)):
            check_value(name, key, value, self.rules[key])
        self.student_taps, self.teacher_taps = ([x] if isinstance(x, str) else list(x) for x in (student, teacher))
        if len(self.student_taps) != len(self.teacher_taps):
            raise UserError(f'{name}: {len(self.student_taps)} student taps face {len(self.teacher_taps)} teacher taps; give pairs.')
        if self.pairs == 'one' and len(self.student_taps) > 1:
            raise UserError(f'{name}: {len(self.student_taps)} pairs of taps are given; it compares one: write the method once a pair.')
        self.keep(loss_weight=loss_weight, align=align)

    def loss(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """The term of one pair, a scalar; its weight is not its business."""
        raise UserError(f'{type(self).__name__} has no loss; write loss(self, student, teacher), which gives the term of a pair of maps.')

    def setup(self, student_shapes: Shapes, teacher_shapes: Shapes) -> None:
        """Checks what must be ``equal`` and makes the adapters."""
        pairs = [(s, student_shapes[s], t, teacher_shapes[t]) for s, t in zip(self.student_taps, self.teacher_taps, strict=True)]
        for pair in pairs:
            self._check_equal(*pair)
        if self.adapts == 'never':
            return
        adapters = []
        for s_tap, s, t_tap, t in pairs:
            for tap, shape in ((s_tap, s), (t_tap, t)):
                if len(shape) not in (3, 4):
                    raise UserError(
                        f'{type(self).__name__}: tap {tap!r} gives {tuple(shape)}; tap a map [B, C, H, W], or tokens [B, N, C].'
                    )
            adapters.append(channel_adapter(channels_of(s), channels_of(t), always=self.adapts == 'always'))
        self.adapter = adapters[0] if len(adapters) == 1 else nn.ModuleList(adapters)

    def _check_equal(self, s_tap: str, s: tuple[int, ...], t_tap: str, t: tuple[int, ...]) -> None:
        name = type(self).__name__
        if self.equal == 'classes' and s[1] != t[1]:
            raise UserError(
                f'{name}: student tap {s_tap!r} has {s[1]} channels and teacher tap {t_tap!r} has {t[1]}; '
                'logits need the same classes: tap both classifiers, or use FeatureKD.'
            )
        if self.equal == 'shapes' and s != t:
            raise UserError(
                f'{name}: student tap {s_tap!r} gives {"x".join(map(str, s[1:]))} and teacher tap {t_tap!r} '
                f'{"x".join(map(str, t[1:]))} for one input; give networks of the same scale, and tap their images.'
            )

    def matched(self, student: Tensors, teacher: Tensors, batch: Mapping[str, Any]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The pairs of maps ``[B, C, H, W]`` that ``loss`` gets: adapted, and on one grid."""
        out = []
        for i, (s_tap, t_tap) in enumerate(zip(self.student_taps, self.teacher_taps, strict=True)):
            s, t = student[s_tap], teacher[t_tap]
            s, t = (_as_map(x, batch['sizes'][k]) if x.dim() == 3 else x for k, x in enumerate((s, t)))
            if self.adapts != 'never':
                s = (self.adapter[i] if isinstance(self.adapter, nn.ModuleList) else self.adapter)(s)
            out.append((s, t) if self.equal == 'shapes' or s.dim() != 4 else align_size(s, t, self.align))
        return out

    def forward(self, student: Tensors, teacher: Tensors, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        terms = [self.loss(s, t) for s, t in self.matched(student, teacher, batch)]
        total = self.loss_weight * sum(terms[1:], terms[0])
        return {self.loss_key: total / len(terms) if self.pairs == 'mean' else total}


def _as_map(tokens: torch.Tensor, image_size: tuple[int, int]) -> torch.Tensor:
    return tokens_to_map(tokens, token_grid(tokens.shape[1], image_size))
