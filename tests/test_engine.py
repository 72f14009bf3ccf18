import errno
import math
import os

import pytest
import torch
from helpers.batches import batch
from helpers.configs import config
from helpers.errors import fails
from helpers.networks import build, distiller, segmentor
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper

from vkd import METHODS, Method, UserError
from vkd.build.checkpoint import load_weights
from vkd.engine import WholeFileBackend, build_runner, last_checkpoint, use_amp
from vkd.io.files import read_json
from vkd.runs.run import run


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    """The disk fills up while the second checkpoint is written."""
    cfg = config(segmentor(8), tmp_path / 'r')
    sync, calls = os.fsync, []

    def full(fd):
        if os.readlink(f'/proc/self/fd/{fd}').count('iter_6'):
            calls.append(fd)
            raise OSError(errno.ENOSPC, 'No space left on device')
        sync(fd)

    monkeypatch.setattr(os, 'fsync', full)
    with fails('disk-full', '--resume'):
        run(cfg, tmp_path / 'r')
    assert calls and last_checkpoint(tmp_path / 'r').endswith('iter_3.pth') and len(load_weights(tmp_path / 'r/iter_3.pth')) > 10
    assert not list((tmp_path / 'r').glob('*.part')) and not list((tmp_path / 'r').glob('.*.part'))
    monkeypatch.undo()
    metrics = run(config(segmentor(8), tmp_path / 'r'), tmp_path / 'r', resume=True)
    assert metrics['test']['images'] == 3 and read_json(tmp_path / 'r/state.json')['state'] == 'done'


def test_a_file_is_whole_or_the_old_one(tmp_path):
    backend, path = WholeFileBackend(), tmp_path / 'a.pth'
    backend.put(b'old', path)
    with pytest.raises(TypeError):
        backend.put(None, path)
    assert path.read_bytes() == b'old' and [p.name for p in tmp_path.iterdir()] == ['a.pth']
    backend.put_text('ü', tmp_path / 'new/b.txt')
    assert (tmp_path / 'new/b.txt').read_text(encoding='utf-8') == 'ü'


@METHODS.register_module(name='TurnsNaN', force=True)
class TurnsNaN(Method):
    """Becomes nan in iteration ``at``."""

    student_taps = teacher_taps = ('decode_head.conv_seg',)

    def __init__(self, at):
        super().__init__()
        self.at, self.count = at, 0

    def forward(self, student, teacher, batch):
        self.count += 1
        value = student['decode_head.conv_seg'].mean() * 0
        return dict(loss_turn=value + (math.nan if self.count == self.at else 0))


METHODS.module_dict.pop('TurnsNaN')  # the contracts run over what vkd registers


@pytest.mark.parametrize('at', [4, 6])
def test_weights_that_are_not_finite_are_neither_saved_nor_tested(tmp_path, at):
    """A gradient that overflows under a finite loss, just before a checkpoint and in the last step."""

    class Overflow(Hook):
        priority = 'VERY_HIGH'

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter + 1 == at:
                runner.model.decode_head.conv_seg.bias.data[0] = math.nan

    runner = build_runner(config(segmentor(8), tmp_path / 'r', interval=2, iters=6))
    runner.register_hook(Overflow())
    with fails('not-finite', "'decode_head.conv_seg.bias'.*kept"):
        runner.train()
    assert last_checkpoint(tmp_path / 'r').endswith(f'iter_{at - 2}.pth')


def test_nan_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path):
    cfg = config(distiller(), tmp_path / 'r')
    METHODS.register_module(name='TurnsNaN', module=TurnsNaN)
    cfg.model.methods = [dict(type='TurnsNaN', at=5)]
    try:
        with fails('not-finite', "'loss_turn' is nan at iteration 5") as error:
            run(cfg, tmp_path / 'r')
    finally:
        METHODS.module_dict.pop('TurnsNaN')
    assert '\n' not in str(error.value)
    state = read_json(tmp_path / 'r/state.json')
    assert state['state'] == 'failed' and state['lines'] == [str(error.value)]
    assert last_checkpoint(tmp_path / 'r').endswith('iter_3.pth') and all(
        torch.isfinite(v).all() for v in load_weights(tmp_path / 'r/iter_3.pth').values()
    )


def test_amp_on_a_cpu(tmp_path):
    cfg = config(segmentor(8), tmp_path / 'r', iters=2, interval=2)
    use_amp(cfg)
    assert cfg.optim_wrapper.type == ('AmpOptimWrapper' if torch.cuda.is_available() else 'vkd.CPUAmpOptimWrapper')
    kinds = set()
    runner = build_runner(cfg)
    runner.model.backbone.layers[0][0].projection.register_forward_hook(lambda m, x, y: kinds.add(y.dtype))
    runner.train()
    assert torch.bfloat16 in kinds or torch.float16 in kinds


def test_an_unsafe_file_is_not_resumed(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, ('touch broken_in',)

    torch.save(dict(state_dict=dict(a=torch.ones(1)), extra=Evil()), tmp_path / 'iter_3.pth')
    cfg = config(segmentor(8), tmp_path / 'r')
    with pytest.raises(UserError, match='system'):
        build_runner(cfg, tmp_path, resume=True)
    assert not os.path.exists('broken_in')


def test_the_newest_checkpoint_by_number(tmp_path):
    for n in (9, 10, 100):
        (tmp_path / f'iter_{n}.pth').touch()
    (tmp_path / 'iter_best.pth').touch()
    assert last_checkpoint(tmp_path).endswith('iter_100.pth') and last_checkpoint(tmp_path / 'no') is None


def test_accumulated_gradients_equal_a_double_batch():
    a, b = (
        build(distiller(dict(type='KL'), student=segmentor(8, norm='GN'))),
        build(distiller(dict(type='KL'), student=segmentor(8, norm='GN'))),
    )
    whole, halves = batch(4), batch(4)
    one = OptimWrapper(torch.optim.SGD(a.student.parameters(), lr=0.1))
    two = OptimWrapper(torch.optim.SGD(b.student.parameters(), lr=0.1), accumulative_counts=2)
    two.initialize_count_status(b, 0, 2)
    a.train_step(whole, one)
    for k in (0, 2):
        b.train_step({name: v[k : k + 2] for name, v in halves.items()}, two)
    for x, y in zip(a.student.parameters(), b.student.parameters(), strict=False):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-6)


def test_weights_of_another_model_are_no_start(tmp_path):
    torch.save(build(segmentor(8)).state_dict(), tmp_path / 'plain.pth')
    cfg = config(distiller(), tmp_path / 'r', load_from=str(tmp_path / 'plain.pth'))
    with pytest.raises(UserError, match='none of the tensors of the Distiller.*checkpoint='):
        build_runner(cfg, tmp_path / 'r')
