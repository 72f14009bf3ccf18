"""Two processes of one group, and a run that is killed and resumed."""

import multiprocessing

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook


def _in_group(rank, function, path, args, out):
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{path}', rank=rank, world_size=2)
    out.put((rank, function(*args)))
    dist.barrier()
    dist.destroy_process_group()


def distributed(model, **more):
    """``model`` in mmengine's wrapper for several processes, without a device."""
    from mmengine.model import MMDistributedDataParallel

    return MMDistributedDataParallel(model, device_ids=None, **more)


def mine(data):
    """This process's share of a batch: all of it, or of two processes the first or the second half."""
    import torch.distributed as dist

    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    share = len(data['inputs']) // world
    return {k: v[rank * share : (rank + 1) * share] for k, v in data.items()}


def step_of(model, data, wrapper, step=lambda model, data, wrapper: model.train_step(data, wrapper)):
    """``(loss, what was added to all parameters, a vector)`` of a training step on this process's share of ``data``."""
    before = [p.detach().clone() for p in model.parameters()]
    loss = step(model, mine(data), wrapper)['loss'].item()
    return loss, torch.cat([(p.detach() - q).flatten() for p, q in zip(model.parameters(), before, strict=False)]).numpy()


def check_steps(first, second, whole=None):
    """Two processes saw other halves and moved alike; where the step on the ``whole`` batch is given, as that did."""
    assert first[0] != second[0] and np.array_equal(first[1], second[1])
    if whole is not None:
        assert (first[0] + second[0]) / 2 == pytest.approx(whole[0], rel=1e-5)
        np.testing.assert_allclose(first[1], whole[1], rtol=1e-3, atol=2e-4 * np.abs(whole[1]).max())


def in_two_processes(function, folder, *args):
    """``{rank: function(*args)}`` of two processes of one group."""
    context = multiprocessing.get_context('spawn')
    out = context.Queue()
    processes = [context.Process(target=_in_group, args=(rank, function, folder / 'meet', args, out)) for rank in range(2)]
    for process in processes:
        process.start()
    found = dict(out.get(timeout=240) for _ in processes)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return found


class Power(Hook):
    """The plug is pulled after iteration ``at``."""

    def __init__(self, at):
        self.at = at

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.at:
            raise InterruptedError


def killed_and_resumed(cfg, folder, at):
    """``(runner of a whole run, runner of one that was killed after iteration ``at`` and resumed)`` of ``cfg(name)``, a config whose work
    dir is ``folder / name``; both ended in equal weights.
    """
    from vkd.engine import build_runner

    whole = build_runner(cfg('whole'))
    whole.train()
    cut = build_runner(cfg('cut'))
    cut.register_hook(Power(at))
    with pytest.raises(InterruptedError):
        cut.train()
    torch.rand(11)  # another process has another stream
    again = build_runner(cfg('cut'), folder / 'cut', resume=True)
    again.train()
    a, b = whole.model.state_dict(), again.model.state_dict()
    assert again.iter == whole.iter and a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    return whole, again
