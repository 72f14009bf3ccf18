"""The one abstraction: a student, its teachers, and the methods between them, as one mmengine model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mmengine.logging import MessageHub, print_log
from mmengine.model import BaseModel
from mmengine.structures import PixelData
from mmseg.models.segmentors import BaseSegmentor
from torch import nn

from ..build.checkpoint import load_into
from ..build.networks import build_model, forward_features, initialise, split_role, tell_loaded
from ..errors import UserError
from ..registry import MODELS
from ..schema import WEIGHT, check_value
from .method import Tensors
from .roles import Role
from .taps import Inputs, TapReader, student_input
from .wires import NothingAdded, Wire, wire_up


@MODELS.register_module()
class Distiller(BaseModel):
    """A student that learns from teachers by methods; ``model=`` of an ordinary mmengine config.

    Args:
        student (dict | nn.Module): the network that is deployed: an inline model dict, or ``dict(cfg='mmseg::…', checkpoint=…)``.
        teacher (dict | nn.Module, optional): one teacher, named ``teacher``. Options: ``checkpoint``, ``strict``, ``trainable`` (a peer
            with its own task loss), ``ema`` (True, or ``{teacher sub-module: student sub-module}``), ``momentum``, ``ema_buffers`` (False:
            parameters alone follow, and statistics are its own, of its own batches), ``start`` ('student': it begins with the student's
            weights), and ``view`` (the name of an input, or a dict of options of ``vkd.distill.roles.Renormalize``).
        teachers (dict, optional): several, by name; a method picks one by ``of=name``.
        methods (list): configs of registered methods, or built ones. A method between two networks takes ``of`` (the teacher's name; the
            first by default) and ``learner`` (whose taps are the student's; 'student' by default, or a peer); one among peers takes
            ``among`` (role names; all by default).
        task_weight (float): weight of the student's own losses; 0 runs no task head, and freezes the parameters of the student that no
            method reaches (``unreached``; the log names them).
        probe_shape (tuple): ``(C, H, W)`` of the tiny forward that checks taps and counts channels at build.

    The state dict holds the student, the methods' adapters, and teachers that learn; never a frozen teacher. ``methods=[]`` gives the
    plain student's losses, bit for bit. Building teachers and methods does not consume the global random generator (it is forked), so a
    seed gives the student the same initial weights with or without them.

    The first call of the loss checks that each method adds to the objective: one of its terms must have ``loss`` in its key, and a
    gradient that reaches a learner.

    With peers, ``mode='predict'`` runs each of them: a data sample holds the student's ``pred_sem_seg``, that of each peer as
    ``pred_sem_seg_<role>``, and that of the mean of their class probabilities as ``pred_sem_seg_ensemble``.

    Raises:
        UserError: for an unknown option, tap or method, a checkpoint that does not fit, or, in the first loss, a method that adds nothing.
    """

    def __init__(
        self,
        student: nn.Module | Mapping[str, Any],
        teacher: nn.Module | Mapping[str, Any] | None = None,
        teachers: Mapping[str, Any] | None = None,
        methods: Sequence[Any] = (),
        task_weight: float = 1.0,
        probe_shape: Sequence[int] = (3, 64, 64),
        data_preprocessor: nn.Module | dict[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        cfg, options = split_role(student, 'student')
        unknown = set(options) - {'checkpoint', 'strict', 'prefix', 'unsafe_pickle'}
        if unknown:
            raise UserError(f"student: option {sorted(unknown)[0]!r} belongs to a teacher; move it there.")
        student = build_model(cfg)
        super().__init__(data_preprocessor=data_preprocessor or getattr(student, 'data_preprocessor', None), init_cfg=init_cfg)
        self.student = student
        self.task_weight = check_value('Distiller', 'task_weight', task_weight, WEIGHT)
        self.student_report: dict[str, Any] | None = None
        self._student_options = options
        if options.get('checkpoint'):
            self._load_student()
        named = dict(teachers or {})
        if teacher is not None:
            if 'teacher' in named:
                raise UserError("Both teacher= and teachers= name a 'teacher'; keep one of them.")
            named['teacher'] = teacher
        self.roles: dict[str, Role] = {}
        self.wires: list[Wire] = []
        self.readers: dict[str, TapReader] = {}
        self.tap_shapes: dict[str, dict[str, tuple[int, ...]]] = {}
        self._followed = 0
        for name in named:
            if not name.isidentifier() or name in ('methods', 'ensemble', *dir(self)):
                raise UserError(
                    f"Teacher name {name!r} cannot be used (it must be a word, and none that the Distiller uses itself); choose another, "
                    "such as 'peer'."
                )
        device = next((p.device for p in student.parameters()), torch.device('cpu'))
        with torch.random.fork_rng():
            self.roles = {name: Role(name, cfg, student, self.data_preprocessor) for name, cfg in named.items()}
            for role in self.roles.values():
                if role.registered:
                    self.add_module(role.name, role.module)
            self.wires = [wire_up(m, self.networks, self.learners) for m in methods]
            self.methods = nn.ModuleList(wire.method for wire in self.wires)
            self.readers = self._probe(tuple(probe_shape), device)
            self.unreached = [] if task_weight or not self.wires else self._freeze_unreached(tuple(probe_shape), device)
        self._followed = self._student_version()
        self.register_state_dict_pre_hook(lambda module, prefix, keep_vars: module.follow())
        self.register_load_state_dict_post_hook(lambda module, keys: module._note_student())

    # -- building ----------------------------------------------------------------------------------------------------
    def _load_student(self) -> None:
        o = self._student_options
        report = self.student_report = load_into(
            self.student, o['checkpoint'], 'student', o.get('strict', True), o.get('prefix'), o.get('unsafe_pickle', False)
        )
        tell_loaded('student', report)

    def _probe(self, shape: tuple[int, ...], device: torch.device) -> dict[str, TapReader]:
        """Checks all taps with one tiny eval-mode forward each, and tells the methods the shapes they will meet."""
        networks = self.networks
        readers = {
            name: TapReader(network, [t for wire in self.wires for t in wire.taps.get(name, ())], name)
            for name, network in networks.items()
        }
        shapes: dict[str, dict[str, tuple[int, ...]]] = {}
        with torch.no_grad():
            image = torch.zeros(2, *shape, device=device)
            for name, reader in readers.items():
                if not reader.taps:
                    shapes[name] = {}
                    continue
                role = self.roles.get(name)
                model = networks[name]
                x = role.view(image) if role and callable(role.view) else image
                try:
                    with evaluating(model):
                        shapes[name] = reader.probe(partial(forward_features, model, x))
                except UserError:
                    raise
                except Exception as error:  # whatever a network says of an image that it cannot take
                    raise UserError(
                        f'{name}: the forward pass that checks its taps failed on an image of {"x".join(map(str, x.shape[1:]))} '
                        f'({type(error).__name__}: {(str(error).splitlines() or [""])[0][:200]}); '
                        'give probe_shape=(C, H, W) of an image that it takes.'
                    ) from error
        for wire in self.wires:
            wire.setup(shapes)
            wire.method.to(device)
            if wire.method.second_pass is not None:
                name = wire.roles[0]
                again = wire.again = TapReader(networks[name], wire.taps[name], name)
                again.calls = {t: calls for t, calls in (readers[name].calls or {}).items() if t in again.taps}
        self.tap_shapes = shapes
        return readers

    def _freeze_unreached(self, shape: tuple[int, ...], device: torch.device) -> list[str]:
        """Freezes the student's parameters on which no tap of a method depends, and returns their names. Without a task loss they would
        never get a gradient, and several processes would wait for it.
        """
        taps = [tap for wire in self.wires if 'student' in wire.learners for tap in wire.taps['student']]
        learning = {name: p for name, p in self.student.named_parameters() if p.requires_grad}
        kept = {p: p.grad for p in learning.values()}
        for p in kept:
            p.grad = None
        with torch.enable_grad(), evaluating(self.student):
            image = torch.zeros(2, *shape, device=device)
            seen = TapReader(self.student, taps, 'student').read(lambda: forward_features(self.student, image))[1]
            ends = [x.float().sum() for x in seen.values() if x.requires_grad]
            if ends:
                sum(ends[1:], ends[0]).backward()
        unreached = [name for name, p in learning.items() if p.grad is None]
        for p, grad in kept.items():
            p.grad = grad
        for name in unreached:
            learning[name].requires_grad_(False)
        if unreached:
            print_log(
                f'task_weight=0: no method reaches {len(unreached)} of {len(learning)} trainable tensors of the student, for example '
                f'{unreached[0]!r}; they are frozen, and stay as they begin.',
                logger='current',
            )
        return unreached

    def init_weights(self) -> None:
        """Initialises the student from the global random generator, then loads its checkpoint, which may fill only a part of it. Teachers
        and methods were initialised when they were built.
        """
        initialise(self.student, 'student', self._student_options)
        if self._student_options.get('checkpoint'):
            self._load_student()
        for role in self.roles.values():
            role.begin(self.student)
        self._note_student()
        self._is_init = True

    # -- being a module ----------------------------------------------------------------------------------------------
    @property
    def teachers(self) -> dict[str, nn.Module]:
        """``{name: module}`` of all teachers, frozen ones included."""
        return {role.name: role.module for role in self.roles.values()}

    @property
    def networks(self) -> dict[str, nn.Module]:
        """``{name: module}`` of the student and all teachers."""
        return {'student': self.student, **self.teachers}

    @property
    def learners(self) -> list[str]:
        """Names of the roles that learn by gradient: the student, and its peers."""
        return ['student', *(role.name for role in self.roles.values() if role.trainable)]

    def owner(self, name: str) -> str:
        """The role that learns by the parameter ``name``: of a network that role itself; of a method's module the role that it is named
        for, else the method's learner.
        """
        first, *rest = name.split('.')
        if first != 'methods':
            return first
        return next((part for part in rest if part in self.learners), self.wires[int(rest[0])].roles[0])

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> 'Distiller':
        super()._apply(fn, recurse)
        for role in self.roles.values():
            if not role.registered:
                role.module._apply(fn, recurse)
        self._note_student()
        return self

    def to(self, *args: Any, **kwargs: Any) -> 'Distiller':
        super().to(*args, **kwargs)
        for role in self.roles.values():  # mmengine's models note their device in `to`
            if not role.registered:
                role.module.to(*args, **kwargs)
        return self

    def train(self, mode: bool = True) -> 'Distiller':
        super().train(mode)
        for role in self.roles.values():
            role.set_mode(mode)
        return self

    def image(self, name: str, inputs: Inputs) -> torch.Tensor:
        """What the network ``name`` sees of a batch's ``inputs``: the student's image, or the view of a teacher."""
        return self.roles[name].input(inputs) if name in self.roles else student_input(inputs)

    # -- running -----------------------------------------------------------------------------------------------------
    def forward(self, inputs: Inputs, data_samples: Any = None, mode: str = 'tensor', turn: str | None = None) -> Any:
        """mmengine's three modes; ``loss`` gives a dict of the task's and the methods' losses."""
        if mode == 'loss':
            return self.loss(inputs, data_samples, turn)
        if mode == 'predict' and len(self.learners) > 1 and all(isinstance(self.networks[n], BaseSegmentor) for n in self.learners):
            return self.predict(inputs, data_samples)
        return self.student(student_input(inputs), data_samples, mode=mode)

    def loss(self, inputs: Inputs, data_samples: Any, turn: str | None = None) -> dict[str, Any]:
        """Losses of the task, of teachers that learn, and of the methods; ``inputs`` as the data preprocessor gives them. ``turn`` names
        the one learner whose losses are computed (``vkd.AlternateTrainLoop``).
        """
        self.follow()
        if turn not in (None, 'student'):
            role = self.roles[turn]
            return self.teach(role, role.input(inputs), data_samples)[0]
        image = student_input(inputs)
        for wire in self.wires:  # before a network fails on it with an error of its own
            wire.method.check_image(image)
        if self.task_weight:
            losses, taps = self.readers['student'].read(lambda: self.student(image, data_samples, mode='loss'))
            losses = (
                dict(losses)
                if self.task_weight == 1
                else {k: _scaled(v, self.task_weight) if 'loss' in k else v for k, v in losses.items()}
            )
        else:
            _, taps = self.readers['student'].read(lambda: forward_features(self.student, image), stop=True)
            losses = {}
        seen, sizes = {'student': taps}, {'student': image.shape[-2:]}
        for role in self.roles.values():
            view = role.input(inputs)
            sizes[role.name] = view.shape[-2:]
            own, seen[role.name] = self.teach(role, view, data_samples, learns=turn is None)
            losses.update(own)
        facts = dict(inputs=inputs, data_samples=data_samples, sizes=sizes, **progress())
        told = []
        for i, (wire, terms) in enumerate(zip(self.wires, self.terms(seen, facts), strict=True)):
            for key, value in terms.items():
                losses[key if key not in losses else f'{key}_{i}'] = value
            if not wire.tried and torch.is_grad_enabled():
                told += self._try(wire, terms, seen)
        if told:
            raise NothingAdded(told, losses)
        return losses

    def _try(self, wire: Wire, terms: Mapping[str, Any], seen: Mapping[str, Tensors]) -> list[str]:
        """``[sentence]`` where the method of ``wire`` adds nothing to the objective. Otherwise ``[]``, and the method is not checked
        again.
        """
        taps = [x for role in wire.learners for x in (seen[role][tap] for tap in wire.taps[role]) if x.requires_grad]
        parameters = {id(p) for role in wire.learners for p in self.networks[role].parameters() if p.requires_grad}
        told = wire.nothing_added(terms, taps, parameters)
        wire.tried = told is None
        return [] if told is None else [told]

    def terms(self, seen: Mapping[str, Tensors], batch: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The losses of each method, in order, from ``seen``: ``{role: {tap: tensor}}``.

        ``batch['sizes']``, ``{role: (H, W)}`` of what each network saw, reaches a method as a list of its own roles',
        the learner's first.
        """
        sizes = batch.get('sizes', {})
        for wire in self.wires:
            batch = dict(batch, sizes=[sizes.get(role) for role in wire.roles])
            again = [] if wire.again is None else [self._second_pass(wire, wire.again, batch['inputs'])]
            yield wire.terms(seen, batch, *again)

    def _second_pass(self, wire: Wire, reader: TapReader, inputs: Inputs) -> dict[str, torch.Tensor]:
        """The learner's taps of one more pass, up to the deepest of them, in which the method changes something: ``with
        method.second_pass(network)``.
        """
        name = wire.roles[0]
        network, image = self.networks[name], self.image(name, inputs)
        second_pass: Any = wire.method.second_pass  # there is one where there is a reader of it
        with second_pass(network):
            return reader.read(lambda: forward_features(network, image), stop=True)[1]

    def predict(self, inputs: Inputs, data_samples: Any = None) -> list[Any]:
        """Data samples with the predictions of the student, of each peer, and of the mean of their probabilities."""
        out: list[Any] = []
        fields: list[list[dict[str, Any]]] = []
        probability: list[list[torch.Tensor]] = []
        for name in self.learners:
            found = self.networks[name](self.image(name, inputs), data_samples, mode='predict')
            fields.append([{k: s.get(k) for k in ('seg_logits', 'pred_sem_seg')} for s in found])  # they may write into the same samples
            probability.append([class_probability(s.seg_logits.data) for s in found])
            out = out or found
        for i, sample in enumerate(out):
            first, *others = (p[i] for p in probability)
            mean = sum(others, first) / len(probability)
            best = mean.argmax(0, keepdim=True) if len(mean) > 1 else (mean > 0.5).long()
            named = {f'pred_sem_seg_{name}': own[i]['pred_sem_seg'] for name, own in zip(self.learners[1:], fields[1:], strict=True)}
            sample.set_data({**fields[0][i], **named, 'pred_sem_seg_ensemble': PixelData(data=best)})
        return out

    def teach(
        self, role: Role, image: torch.Tensor, data_samples: Any, learns: bool = True
    ) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """``(own losses of a peer that learns in this pass, its taps)``."""
        reader = self.readers[role.name]
        if role.trainable and learns:
            own, taps = reader.read(lambda: role.module(image, data_samples, mode='loss'))
            return {f'{role.name}.{k}': v for k, v in own.items()}, taps
        if not reader.taps:
            return {}, {}
        with torch.no_grad():
            return {}, reader.read(lambda: forward_features(role.module, image), stop=True)[1]

    def _student_version(self) -> int:
        """A number that grows with every update of what a teacher follows; torch counts in-place changes on the host."""
        return sum(p._version for role in self.roles.values() for _, theirs in role.pairs for p in theirs.parameters())

    def _note_student(self) -> None:
        self._followed = self._student_version()

    @torch.no_grad()
    def follow(self) -> None:
        """One step of the moving averages, if the student was updated since the last; called before a teacher's weights are used or saved.

        Not part of ``train_step``, which a distributed wrapper replaces by its own.
        """
        if self._student_version() != self._followed:
            for role in self.roles.values():
                role.follow()
            self._note_student()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """``model`` in eval mode; each module is given back its own mode."""
    modes = {m: m.training for m in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for m, mode in modes.items():
            m.training = mode


def class_probability(logits: torch.Tensor) -> torch.Tensor:
    """``[K, H, W]`` logits -> probabilities; a single channel is the logit of one class against none."""
    return logits.softmax(0) if len(logits) > 1 else logits.sigmoid()


def _scaled(value: Any, weight: float) -> Any:
    return [v * weight for v in value] if isinstance(value, (list, tuple)) else value * weight


def progress() -> dict[str, Any]:
    """``iter`` and ``progress`` (0 to 1) of the run, from mmengine's message hub; 0 outside a run."""
    if not MessageHub._instance_dict:
        return dict(iter=0, progress=0.0)
    hub = MessageHub.get_current_instance()
    step, last = hub.get_info('iter', 0) or 0, hub.get_info('max_iters', 0) or 0
    return dict(iter=step, progress=step / last if last else 0.0)
