"""A teacher: its network, whether it is frozen, learns, or follows the student, and what it sees."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseDataPreprocessor
from torch import nn

from ..build.checkpoint import load_into
from ..build.networks import build_model, initialise, split_role, tell_loaded
from ..errors import UserError, choice, expect, nearest
from .taps import Inputs, student_input


class Renormalize:
    """View of the student's image for a teacher trained with other statistics: re-normalised and, on demand, resized.

    Args:
        source: the student's data preprocessor, whose ``mean`` and ``std`` (on 0 to 255) are undone.
        mean: the teacher's, on the same 0 to 255, in its order of channels; None keeps the student's.
        std: likewise; both are given, or neither.
        size: ``(H, W)`` of the teacher's input, bicubic; None keeps it.
        rgb: whether the teacher takes RGB (True) or BGR (False); the channels are flipped where the student, which takes RGB if its
            preprocessor converts, differs. None keeps its order.
    """

    options = ('mean', 'std', 'size', 'rgb')

    def __init__(
        self,
        source: BaseDataPreprocessor,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        size: tuple[int, int] | None = None,
        rgb: bool | None = None,
    ) -> None:
        self.source, self.size = source, size
        self.flip = rgb is not None and bool(rgb) != takes_rgb(source)
        self.mean, self.std = (v if v is None else torch.tensor(v, dtype=torch.float32).view(-1, 1, 1) for v in (mean, std))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.mean is not None and self.std is not None:
            if self.mean.device != x.device:  # once: each copy would wait for the device
                self.mean, self.std = self.mean.to(x.device), self.std.to(x.device)
            if getattr(self.source, '_enable_normalize', False):
                x = x * self.source.std.to(x) + self.source.mean.to(x)
        if self.flip:
            x = x.flip(1)
        if self.mean is not None and self.std is not None:
            x = (x - self.mean.to(x.dtype)) / self.std.to(x.dtype)
        return x if self.size is None else F.interpolate(x, size=self.size, mode='bicubic', align_corners=False)


def takes_rgb(preprocessor: BaseDataPreprocessor | None) -> bool:
    """Whether a network behind mm's ``preprocessor`` sees RGB: images are read as BGR, and it converts them."""
    return bool(getattr(preprocessor, '_channel_conversion', False))


def normalisation(preprocessor: BaseDataPreprocessor | None) -> dict[str, Any] | None:
    """``dict(mean, std, rgb)`` of mm's ``preprocessor`` as a view has them; None where it does not normalise."""
    if preprocessor is None or not getattr(preprocessor, '_enable_normalize', False):
        return None
    mean, std = ([round(v, 4) for v in x.flatten().tolist()] for x in (preprocessor.mean, preprocessor.std))
    return dict(mean=mean, std=std, rgb=takes_rgb(preprocessor))


def make_view(
    name: str, view: str | dict[str, Any] | None, preprocessor: BaseDataPreprocessor | None, module: nn.Module
) -> str | Renormalize | None:
    """What the role ``name`` sees: the name of an input, a Renormalize, or None for the student's image.

    Raises UserError for an unknown option, and where no view is given although the student's ``preprocessor`` and that
    of the teacher (``module``) normalise differently.
    """
    if isinstance(view, dict):
        for key in view:
            choice(name, 'view option', key, Renormalize.options)
        if (view.get('mean') is None) != (view.get('std') is None):
            raise UserError(f"{name}: view has one of mean and std, {dict(view)}; give both or neither.")
        return Renormalize(preprocessor, **view)
    ours, seen = normalisation(getattr(module, 'data_preprocessor', None)), normalisation(preprocessor)
    if view is None and ours and seen and ours != seen:
        wanted = ', '.join(f'{k}={v}' for k, v in ours.items() if k != 'rgb' or v != seen['rgb'])
        told = ', '.join(f'{k}={v}' for k, v in seen.items() if v != ours[k])
        raise UserError(
            f"{name}: its own data preprocessor normalises images differently from the student's, which has {told};  "
            f"write view=dict({wanted}) in the role, or view=dict() if it should see the student's image."
        )
    return view


class Role:
    """A teacher and its options; not an ``nn.Module``, so that a frozen one is in no state dict, optimizer or DDP bucket."""

    def __init__(self, name: str, cfg: Any, student: nn.Module, preprocessor: BaseDataPreprocessor | None = None) -> None:
        model, options = split_role(cfg, name)
        self.name = name
        self.module = build_model(model)
        self.trainable = options.get('trainable', False)
        self.ema = options.get('ema')
        self.ema_buffers = options.get('ema_buffers', True)
        self.momentum = options.get('momentum', 0.999)
        expect(0 <= self.momentum <= 1, name, 'momentum', self.momentum, 'a share from 0 to 1')
        self.checkpoint = options.get('checkpoint')
        self.report = None
        self.view = make_view(name, options.get('view'), preprocessor, self.module)
        if not isinstance(model, nn.Module):
            initialise(self.module, name, options)
            self.report = getattr(self.module, 'report', None)  # of a network that loads its own release
        if self.checkpoint:
            self.report = load_into(
                self.module, self.checkpoint, name, options.get('strict', True), options.get('prefix'), options.get('unsafe_pickle', False)
            )
            tell_loaded(name, self.report)
        elif not self.report and not self.trainable and not self.ema and not isinstance(model, nn.Module):
            print_log(f'{name}: no checkpoint was given, so an untrained teacher teaches', logger='current', level=30)
        if not self.trainable:
            self.module.requires_grad_(False).eval()
        self.pairs = self._ema_pairs(student)
        self.start = choice(name, 'start', options.get('start'), (None, 'student'))
        self.begin(student)

    def begin(self, student: nn.Module) -> None:
        """Copies what begins as the student is, where no checkpoint says otherwise: all of it (``start='student'``), or what follows it."""
        for ours, theirs in () if self.checkpoint else [(self.module, student)] if self.start == 'student' else self.pairs:
            a, b = ours.state_dict(), theirs.state_dict()
            if {k: v.shape for k, v in a.items()} != {k: v.shape for k, v in b.items()}:
                raise UserError(
                    f"{self.name}: start='student' copies the student's weights, but their tensors differ; give both one network, or leave "
                    "it out."
                )
            ours.load_state_dict(b)

    def _ema_pairs(self, student: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
        """``[(teacher sub-module, student sub-module)]`` that follow by exponential moving average."""
        if not self.ema:
            return []
        names = {'': ''} if self.ema is True else dict(self.ema)
        pairs = []
        for ours, theirs in names.items():
            for model, path, who in ((self.module, ours, self.name), (student, theirs, 'student')):
                if path not in dict(model.named_modules()):
                    raise UserError(
                        f'{self.name}: ema names {path!r}, which the {who} does not have; {nearest(path, dict(model.named_modules()))}.'
                    )
            pair = self.module.get_submodule(ours), student.get_submodule(theirs)
            a, b = (m.state_dict() for m in pair)
            if {k: v.shape for k, v in a.items()} != {k: v.shape for k, v in b.items()}:
                raise UserError(
                    f'{self.name}: ema pairs {ours!r} with {theirs!r} of the student, but their tensors differ; pair equal sub-modules.'
                )
            pair[0].requires_grad_(False).train(not self.ema_buffers)
            pairs.append(pair)
        return pairs

    @property
    def registered(self) -> bool:
        """Whether it belongs in the checkpoint: it learns, or follows the student."""
        return self.trainable or bool(self.ema)

    def input(self, inputs: Inputs) -> torch.Tensor:
        """What this teacher sees of the batch: a named view, a re-normalised image, or the student's image."""
        if isinstance(self.view, str):
            if not isinstance(inputs, dict) or self.view not in inputs:
                raise UserError(
                    f'{self.name}: view {self.view!r} is not among the inputs '
                    f'({", ".join(inputs) if isinstance(inputs, dict) else "one image"}); give it in the data preprocessor.'
                )
            return inputs[self.view]
        image = student_input(inputs)
        return image if self.view is None else self.view(image)

    def set_mode(self, training: bool) -> None:
        self.module.train(training and self.trainable)
        for ours, _ in self.pairs if self.ema_buffers else ():
            ours.eval()

    @torch.no_grad()
    def follow(self) -> None:
        for ours, theirs in self.pairs:
            for a, b in zip(*(m.state_dict().values() if self.ema_buffers else m.parameters() for m in (ours, theirs)), strict=True):
                a.lerp_(b, 1 - self.momentum) if a.is_floating_point() else a.copy_(b)
