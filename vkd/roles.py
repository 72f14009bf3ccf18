"""A teacher: its network, whether it is frozen, learns, or follows the student, and what it sees."""
import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import nn

from .checkpoint import load_into
from .errors import UserError, nearest
from .networks import build_model, initialise, split_role, tell_loaded
from .taps import student_input


class Renormalize:
    """View of the student's image for a teacher trained with other statistics: re-normalised and, on demand, resized.

    Args:
        source: the student's data preprocessor, whose ``mean`` and ``std`` (on 0 to 255) are undone.
        mean, std: the teacher's, on the same 0 to 255.
        size: ``(H, W)`` of the teacher's input, bicubic; None keeps it.
    """

    def __init__(self, source, mean, std, size=None):
        self.source, self.size = source, size
        self.mean, self.std = (torch.tensor(v, dtype=torch.float32).view(-1, 1, 1) for v in (mean, std))

    def __call__(self, x):
        if self.mean.device != x.device:  # once: each copy would wait for the device
            self.mean, self.std = self.mean.to(x.device), self.std.to(x.device)
        if getattr(self.source, '_enable_normalize', False):
            x = x * self.source.std.to(x) + self.source.mean.to(x)
        x = (x - self.mean.to(x.dtype)) / self.std.to(x.dtype)
        return x if self.size is None else F.interpolate(x, size=self.size, mode='bicubic', align_corners=False)


class Role:
    """A teacher and its options; not an ``nn.Module``, so that a frozen one is in no state dict, optimizer or DDP bucket."""

    def __init__(self, name, cfg, student, preprocessor=None):
        model, options = split_role(cfg, name)
        self.name = name
        self.module = build_model(model)
        self.trainable = options.get('trainable', False)
        self.ema = options.get('ema')
        self.ema_buffers = options.get('ema_buffers', True)
        self.momentum = options.get('momentum', 0.999)
        self.checkpoint = options.get('checkpoint')
        self.report = None
        view = options.get('view')
        self.view = Renormalize(preprocessor, **view) if isinstance(view, dict) else view
        if not isinstance(model, nn.Module):
            initialise(self.module, name, options)
            self.report = getattr(self.module, 'report', None)  # of a network that loads its own release
        if self.checkpoint:
            self.report = load_into(self.module, self.checkpoint, name, options.get('strict', True), options.get('prefix'), options.get('unsafe_pickle', False))
            tell_loaded(name, self.report)
        elif not self.report and not self.trainable and not self.ema and not isinstance(model, nn.Module):
            print_log(f'{name}: no checkpoint was given, so an untrained teacher teaches', logger='current', level=30)
        if not self.trainable:
            self.module.requires_grad_(False).eval()
        self.pairs = self._ema_pairs(student)

    def _ema_pairs(self, student):
        """``[(teacher sub-module, student sub-module)]`` that follow by exponential moving average."""
        if not self.ema:
            return []
        names = {'': ''} if self.ema is True else dict(self.ema)
        pairs = []
        for ours, theirs in names.items():
            for model, path, who in ((self.module, ours, self.name), (student, theirs, 'student')):
                if path not in dict(model.named_modules()):
                    raise UserError(f'{self.name}: ema names {path!r}, which the {who} does not have; {nearest(path, dict(model.named_modules()))}.')
            pair = self.module.get_submodule(ours), student.get_submodule(theirs)
            a, b = (m.state_dict() for m in pair)
            if {k: v.shape for k, v in a.items()} != {k: v.shape for k, v in b.items()}:
                raise UserError(f'{self.name}: ema pairs {ours!r} with {theirs!r} of the student, but their tensors differ; pair equal sub-modules.')
            if not self.checkpoint:
                pair[0].load_state_dict(b)
            pair[0].requires_grad_(False).train(not self.ema_buffers)
            pairs.append(pair)
        return pairs

    @property
    def registered(self):
        """Whether it belongs in the checkpoint: it learns, or follows the student."""
        return self.trainable or bool(self.ema)

    def input(self, inputs):
        """What this teacher sees of the batch: a named view, a re-normalised image, or the student's image."""
        if isinstance(self.view, str):
            if not isinstance(inputs, dict) or self.view not in inputs:
                raise UserError(f'{self.name}: view {self.view!r} is not among the inputs ({", ".join(inputs) if isinstance(inputs, dict) else "one image"}); give it in the data preprocessor.')
            return inputs[self.view]
        image = student_input(inputs)
        return image if self.view is None else self.view(image)

    def set_mode(self, training):
        self.module.train(training and self.trainable)
        for ours, _ in self.pairs if self.ema_buffers else ():
            ours.eval()

    @torch.no_grad()
    def follow(self):
        for ours, theirs in self.pairs:
            for a, b in zip(*(m.state_dict().values() if self.ema_buffers else m.parameters() for m in (ours, theirs))):
                a.lerp_(b, 1 - self.momentum) if a.is_floating_point() else a.copy_(b)
