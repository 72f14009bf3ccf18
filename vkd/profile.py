"""What a network and a training step cost: parameters, FLOPs, latency, time, memory.

Timings that are compared are taken interleaved in one process, because a machine drifts: only their ratios mean something.
"""

import copy
import multiprocessing
import statistics
import sys
import time
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from .building import build, first_batch, optim, synthetic_batch, with_model
from .distiller import Distiller, progress
from .errors import UserError
from .models.restorers import Restorer
from .networks import forward_features, student_of
from .provenance import hardware
from .taps import student_input


# -- one network -----------------------------------------------------------------------------------------------------------
@contextmanager
def _inference(model):
    modes = {m: m.training for m in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield next((p.device for p in model.parameters()), torch.device('cpu'))
    finally:
        for module, mode in modes.items():
            module.training = mode


def params_flops(model, shape):
    """``(parameters, FLOPs)`` of one forward pass to the logits on an image of ``shape = (C, H, W)``.

    A multiply-add counts as two operations. Matrix products, convolutions and attention count; norms, activations and resizes do not
    (torch.utils.flop_counter). Fused attention kernels that hide their products from the counter are switched off meanwhile.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    counter = FlopCounterMode(display=False)
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with _inference(model) as device, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), counter:
            forward_features(model, torch.zeros(1, *shape, device=device))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return sum(p.numel() for p in model.parameters()), int(counter.get_total_flops())


def multiply_adds_720p(restorer):
    """Multiply-adds of a Restorer's convolutions and matrix products for an RGB output of 1280x720, the custom of super-resolution: from an
    image of 1280 // s x 720 // s. Nothing is computed.
    """
    network = copy.deepcopy(restorer).to('meta')
    return params_flops(network, (3, 720 // restorer.scale, 1280 // restorer.scale))[1] // 2


def latency_ms(model, shape, rounds=15, warmup=3):
    """Median milliseconds of a forward pass on one image of ``shape = (C, H, W)``, in eval mode, on the model's device."""
    with _inference(model) as device:
        image = torch.zeros(1, *shape, device=device)
        times = interleaved(dict(model=lambda: forward_features(model, image)), rounds, warmup, device)
    return 1000 * times['model']['seconds']


# -- time of a step --------------------------------------------------------------------------------------------------------
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
    d, s, t, l, b, e = (float(y - x) for x, y in zip(marks, marks[1:]))
    return dict(data=d, student=s + b, teacher=t + e, loss=l, total=d + s + t + l + b + e)


# -- memory of a step ------------------------------------------------------------------------------------------------------
def _step_of(model_cfg, optim_cfg, shape, classes, device, steps):
    """Builds a model, takes ``steps`` training steps on noise; the body that peak_memory measures."""
    from mmengine.config import Config

    cfg = Config(dict(model=model_cfg, optim_wrapper=optim_cfg, default_scope='mmseg'))
    model = build(cfg, device)
    wrapper, batch = optim(cfg, model), synthetic_batch(shape, classes)
    for _ in range(steps):
        model.train_step(batch, wrapper)


def resident_peak():
    """Peak resident memory of this process in bytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


def _measured(pipe, threads, args):
    torch.set_num_threads(threads)
    before = resident_peak()
    try:
        _step_of(*args)
        pipe.send(resident_peak() - before)
    except BaseException as error:
        pipe.send(f'{type(error).__name__}: {error}')
        raise


def peak_memory(model_cfg, optim_cfg, shape, classes, device='cpu', steps=2):
    """Peak bytes of building a model and training it for ``steps`` on noise of ``shape = (B, C, H, W)``.

    CUDA: torch's max_memory_allocated. CPU: growth of the peak resident memory of a fresh process over what the imports took, so it holds
    weights, gradients, optimizer state, activations and the allocator's slack. Every case gets its own process, because a peak never falls.
    """
    args = model_cfg, optim_cfg, tuple(shape), classes, device, steps
    if torch.device(device).type == 'cuda':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        _step_of(*args)
        return torch.cuda.max_memory_allocated(device) - before
    # a server that has imported everything and run nothing: its forks start clean and at once
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['vkd', 'mmseg.models', 'mmseg.datasets', 'mmseg.engine', 'mmseg.evaluation'])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(theirs, torch.get_num_threads(), args))
    process.start()
    theirs.close()
    try:
        result = ours.recv()
    except EOFError:
        result = 'the process died, probably for want of memory'
    process.join()
    if isinstance(result, str):
        raise UserError(f'The memory of a step could not be measured ({result}); try a smaller shape.')
    return result


# -- a suite ---------------------------------------------------------------------------------------------------------------
def suite_profile(cfgs, rounds=5, device=None):
    """The content of a suite's ``profile.json``.

    Args:
        cfgs: ``{'student|teacher|method': Config}``, one of each distinct triple; teacher '-' and method 'alone' for the student
            alone, method 'teacher' for the run of a teacher, whose name then stands as student.
        rounds: interleaved rounds of each student's group of steps.
        device: default: the GPU, where there is one.

    Returns ``dict(hardware, models, steps)``: parameters, FLOPs and latency of each network at its own training size, of restorers of RGB
    images the multiply-adds at 1280x720; of each triple the ratio of its step to its student's own (median over rounds, with quartiles
    ``low`` and ``high``), on the first batch of its training set, or noise of that size where there are no data (``data`` says which).
    """
    device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    keys = {tuple(k.split('|')): cfg for k, cfg in cfgs.items()}
    models, networks, steps = {}, {}, {}

    def note(name, network, shape):
        if name != '-' and name not in models:
            params, flops = params_flops(network, shape)
            models[name], networks[name] = dict(params=params, flops=flops, shape=list(shape)), network
            if isinstance(network, Restorer) and network.metainfo['channel_order'] == 'rgb':
                models[name]['multiply_adds_720p'] = multiply_adds_720p(network)

    for student in dict.fromkeys(k[0] for k in keys):
        own = sorted((k for k in keys if k[0] == student), key=lambda k: k[2] not in ('alone', 'teacher'))
        group, batches, shapes = {}, {}, {}
        for key in own:
            model = build(keys[key], device)
            batch, kind = first_batch(keys[key], model)
            with torch.no_grad():
                inputs = model.data_preprocessor(batch, True)['inputs']
                shape = tuple(student_input(inputs).shape)
                note(student, student_of(model), shape[1:])
                for role in list(model.roles.values())[:1] if isinstance(model, Distiller) else []:
                    note(key[1], role.module, tuple(role.input(inputs).shape[1:]))
            if not group and key[2] not in ('alone', 'teacher'):  # no baseline among the cells: the same student without methods
                alone = build(_alone(keys[key]), device)
                group[student, '-', 'alone'] = _stepper(keys[key], alone, batch)
                batches[student, '-', 'alone'], shapes[student, '-', 'alone'] = kind, shape
            group[key], batches[key], shapes[key] = _stepper(keys[key], model, batch), kind, shape
        if len(group) == 1 and own[0][2] == 'teacher':
            continue
        for key, took in interleaved(group, rounds, device=device).items():
            steps['|'.join(key)] = dict(
                ratio=round(took['ratio'], 4),
                low=round(took['low'], 4),
                high=round(took['high'], 4),
                seconds=round(took['seconds'], 5),
                shape=list(shapes[key]),
                data=batches[key],
            )
    for name, took in interleaved(
        {name: _looker(network, models[name]['shape']) for name, network in networks.items()}, 3 * rounds, 3, device
    ).items():
        models[name]['latency_ms'] = round(1000 * took['seconds'], 3)
    return dict(hardware=hardware(), models=models, steps=steps)


def _looker(network, shape):
    """A call that looks at one image, in eval mode."""

    def look():
        with _inference(network) as device:
            forward_features(network, torch.zeros(1, *shape, device=device))

    return look


def _alone(cfg):
    """``cfg`` with its student and neither teacher nor method."""
    return with_model(
        cfg, dict(type='vkd.Distiller', methods=[], **{k: cfg.model[k] for k in ('student', 'data_preprocessor') if k in cfg.model})
    )


def _stepper(cfg, model, batch):
    wrapper = optim(cfg, model)
    return lambda: model.train_step(batch, wrapper)
