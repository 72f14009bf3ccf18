"""Hooks that mmengine does not have."""

import math
import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import set_random_seed

from ..build.networks import student_of
from ..errors import UserError
from ..registry import HOOKS
from ..text.embeddings import check_text


def random_state():
    """The random streams of torch, numpy and Python as plain data."""
    name, keys, *rest = np.random.get_state()
    kind, numbers, gauss = random.getstate()
    return dict(
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        numpy=[name, torch.from_numpy(keys.astype(np.int64)), *rest],
        python=[kind, list(numbers), gauss],
    )


def set_random_state(state, parts=('torch', 'numpy', 'python')):
    """Sets the streams that ``random_state`` gave."""
    if 'numpy' in parts:
        name, keys, *rest = state['numpy']
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    if 'python' in parts:
        kind, numbers, gauss = state['python']
        random.setstate((kind, tuple(numbers), gauss))
    if 'torch' in parts:
        torch.set_rng_state(state['torch'].cpu())
        if state['cuda'] and len(state['cuda']) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([s.cpu() for s in state['cuda']])


@HOOKS.register_module()
class RandomState(Hook):
    """Keeps the random streams of torch, numpy and Python in the checkpoint, so that a resumed run equals an uninterrupted one.

    Validation, which a resumed run does not repeat, leaves the streams as they were. Exact with ``num_workers=0``; worker processes have
    streams of their own, which a resume starts anew. In a distributed run the other processes draw streams of their own, by seed, rank and
    the iteration at which they begin, and only the first one's is kept: there a resume repeats the data order, not the dropout masks of the
    others.
    """

    priority = 'VERY_LOW'

    def __init__(self):
        self.state = self.before = None

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint['random_state'] = random_state()

    def after_load_checkpoint(self, runner, checkpoint):
        if runner._resume:
            self.state = checkpoint.get('random_state')

    def before_train(self, runner):
        if get_rank():  # mmengine seeds all processes alike: copies of an image on two of them would be augmented and masked alike
            self.state = None
            set_random_seed(int(np.random.SeedSequence([runner.seed, get_rank(), runner.iter]).generate_state(1)[0]))

    def before_train_epoch(self, runner):
        if self.state is not None:
            set_random_state(self.state, ('numpy', 'python'))

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        # torch's comes later: a new data loader iterator draws a number from its stream
        if self.state is not None:
            set_random_state(self.state, ('torch',))
            self.state = None

    def before_val(self, runner):
        self.before = random_state()

    def after_val(self, runner):
        set_random_state(self.before)


@HOOKS.register_module()
class PlainState(Hook):
    """Leaves functions out of the schedulers' states, so that a checkpoint is plain data that loads with ``weights_only=True``.

    mmengine's OneCycleLR keeps a bound method there, and with it the pickled optimizer. A loaded scheduler has the method already.
    ``build_runner`` adds this hook to every run.
    """

    priority = 'VERY_LOW'

    def before_save_checkpoint(self, runner, checkpoint):
        def plain(states):
            if isinstance(states, dict) and all(isinstance(v, list) for v in states.values()):  # several optimizers
                return {k: plain(v) for k, v in states.items()}
            return [{k: v for k, v in state.items() if not callable(v)} for state in states]

        if checkpoint.get('param_schedulers'):
            checkpoint['param_schedulers'] = plain(checkpoint['param_schedulers'])


@HOOKS.register_module()
class StopOnNonFinite(Hook):
    """Ends a run at its first loss that is nan or infinite, and before weights that are not finite are saved or tested. Raises UserError.

    It reads the losses that mmengine has already brought to the host for its log, so a step waits for nothing; weights are looked at when
    they are saved.
    """

    priority = 'NORMAL'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        for key in outputs or {}:
            log = runner.message_hub.log_scalars.get(f'train/{key}')
            if log is not None and 'loss' in key and key != 'loss' and not math.isfinite(log.current()):
                self._stop(runner, key, log.current())
        if outputs and 'loss' in outputs and not math.isfinite(runner.message_hub.get_scalar('train/loss').current()):
            self._stop(runner, 'loss', runner.message_hub.get_scalar('train/loss').current())

    def before_save_checkpoint(self, runner, checkpoint):
        self._check_weights(runner)

    def after_train(self, runner):
        self._check_weights(runner)

    def _check_weights(self, runner):
        names, weights = zip(*((n, p) for n, p in runner.model.named_parameters() if p.requires_grad), strict=False)
        finite = torch.stack([p.detach().isfinite().all() for p in weights]).cpu()
        if not finite.all():
            raise UserError(
                f'Parameter {names[int((~finite).nonzero()[0])]!r} is not finite at iteration {runner.iter}, though the losses were: a '
                'gradient overflowed; the last checkpoint before it was kept in '
                f'{runner.work_dir}: lower the learning rate, or add clip_grad to optim_wrapper.',
                code='not-finite',
            )

    def _stop(self, runner, key, value):
        raise UserError(
            f'Loss term {key!r} is {value} at iteration {runner.iter + 1}; the last checkpoint before it was kept in {runner.work_dir}: '
            'lower the learning rate or the loss weight of this term, or add clip_grad to optim_wrapper.',
            code='not-finite',
        )


@HOOKS.register_module()
class ChannelsLast(Hook):
    """Lays the model out in torch's channels_last memory format, which convolutions on CPUs and tensor cores prefer; results agree to
    rounding.
    """

    def before_run(self, runner):
        runner.model.to(memory_format=torch.channels_last)


@HOOKS.register_module()
class TextFitsData(Hook):
    """Refuses a run whose data have other classes than the text that its head compares with."""

    def _check(self, runner, loop):
        check_text(student_of(runner.model), loop.dataloader.dataset)

    def before_train(self, runner):
        self._check(runner, runner.train_loop)

    def before_val(self, runner):
        self._check(runner, runner.val_loop)

    def before_test(self, runner):
        self._check(runner, runner.test_loop)
