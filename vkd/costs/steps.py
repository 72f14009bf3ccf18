"""How long a training step takes, and which part of it.

Timings that are compared are taken interleaved in one process, because a machine drifts: only their ratios mean something.
"""

import itertools
import statistics
import time

import numpy as np
import torch

from ..build.networks import forward_features
from ..distill.distiller import progress
from ..distill.taps import student_input


def clock(device='cpu'):
    """Seconds, after everything queued on ``device`` is done."""
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize(device)
    return time.perf_counter()


def interleaved(callables, rounds=7, warmup=1, device='cpu'):
    """Times ``{name: function}`` in turn (A B C A B C …), so that a drift of the machine meets all alike.

    Returns ``{name: dict(seconds, ratio, low, high, times, parts)}``: the median time; the median over the rounds of its ratio to the first
    one in the same round, with its quartiles; the single times; and, where the function returns a dict of seconds, the median of each.
    """
    times, parts = {name: [] for name in callables}, {name: [] for name in callables}
    for i in range(warmup + rounds):
        for name, call in callables.items():
            start = clock(device)
            result = call()
            seconds = clock(device) - start
            if i >= warmup:
                times[name].append(seconds)
                parts[name].append(result if isinstance(result, dict) else {})
    first = np.array(next(iter(times.values()), []))
    out = {}
    for name, own in times.items():
        low, ratio, high = (float(x) for x in np.quantile(np.array(own) / first, (0.25, 0.5, 0.75)))
        split = {k: statistics.median(p[k] for p in parts[name]) for k, v in parts[name][0].items() if isinstance(v, float)}
        out[name] = dict(seconds=statistics.median(own), ratio=ratio, low=low, high=high, times=own, parts=split)
    return out


def step_parts(distiller, batch, optim_wrapper):
    """One training step of a Distiller, taken apart. Returns seconds: ``dict(data, student, teacher, loss, total)``.

    ``data``: the preprocessor (stack, normalise, move); reading files is not in it. ``student``: forward, backward, update. ``teacher``:
    forward up to its deepest tap, and its moving average; of a teacher that learns, the backward counts as ``student``. ``loss``: the
    methods, forward and backward down to the taps. The methods see taps cut off the graph, and the gradients that arrive there are handed
    to the student's backward, so the update is that of ``train_step``.
    """
    device = next(distiller.parameters()).device
    scaler = getattr(optim_wrapper, 'loss_scaler', None)

    def total(losses):
        loss = distiller.parse_losses(losses)[0]
        return scaler.scale(loss) if scaler and isinstance(loss, torch.Tensor) else loss

    cut = {}

    def leaf(tensor):
        return cut.setdefault(id(tensor), (tensor, tensor.detach().requires_grad_()))[1] if tensor.requires_grad else tensor

    marks = [clock(device)]
    with optim_wrapper.optim_context(distiller):
        data = distiller.data_preprocessor(batch, True)
        inputs, samples = data['inputs'], data['data_samples']
        marks.append(clock(device))
        image, reader, weight = student_input(inputs), distiller.readers['student'], distiller.task_weight
        if weight:
            losses, taps = reader.read(lambda: distiller.student(image, samples, mode='loss'))
            task = total(losses) * weight
        else:
            task, taps = 0, reader.read(lambda: forward_features(distiller.student, image), stop=True)[1]
        marks.append(clock(device))
        seen, sizes = {'student': taps}, {'student': image.shape[-2:]}
        for role in distiller.roles.values():
            view = role.input(inputs)
            sizes[role.name] = view.shape[-2:]
            own, seen[role.name] = distiller.teach(role, view, samples)
            task = task + total(own)
        marks.append(clock(device))
        facts = dict(inputs=inputs, data_samples=samples, sizes=sizes, **progress())
        cut_off = {name: {t: leaf(x) for t, x in own.items()} for name, own in seen.items()}
        terms = sum(total(own) for own in distiller.terms(cut_off, facts))
    if isinstance(terms, torch.Tensor) and terms.requires_grad:
        terms.backward()
    marks.append(clock(device))
    ends = [(task, None)] * isinstance(task, torch.Tensor) + [(x, y.grad) for x, y in cut.values() if y.grad is not None]
    torch.autograd.backward([x for x, _ in ends], [g for _, g in ends])
    optim_wrapper.step()
    optim_wrapper.zero_grad()
    marks.append(clock(device))
    distiller.follow()
    marks.append(clock(device))
    d, s, t, l, b, e = (float(y - x) for x, y in itertools.pairwise(marks))
    return dict(data=d, student=s + b, teacher=t + e, loss=l, total=d + s + t + l + b + e)
