"""How much memory a training step takes at its peak."""

import multiprocessing
import sys

import torch

from ..build.built import build, optim, synthetic_batch
from ..errors import UserError


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
    context.set_forkserver_preload(['vkd._registered'])
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
