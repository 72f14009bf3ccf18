"""Training in turns: each teacher that learns takes its step first, and the student then learns from the updated teacher."""

from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop

from ..build.networks import unwrapped
from ..errors import UserError
from ..registry import LOOPS
from .peers import PeerOptimWrapper


def alternate_step(model, data, optim_wrapper):
    """One batch: the loss, backward pass and step of each teacher that learns, then those of the student with all methods. The batch is
    preprocessed once.

    A Distiller's own ``train_step`` sums all losses instead, and passes each network once; here a teacher with taps is passed twice, the
    second time after its step and without gradient.
    """
    inner = unwrapped(model)
    with optim_wrapper.optim_context(model):
        data = inner.data_preprocessor(data, True)
    logs = {}
    for turn in (*inner.learners[1:], 'student'):
        with optim_wrapper.optim_context(model):
            losses = model(**data, mode='loss', turn=turn)
        loss, own = inner.parse_losses(losses)
        optim_wrapper[turn].update_params(loss)
        logs['loss'] = own.pop('loss').detach() + logs.get('loss', 0)
        logs.update(own)
    return logs


@LOOPS.register_module()
class AlternateTrainLoop(IterBasedTrainLoop):
    """mmengine's loop by iterations, with ``alternate_step``: ``train_cfg = dict(type='vkd.AlternateTrainLoop', max_iters=…,
    val_interval=…)``.

    Raises UserError, before the first batch, where no teacher learns, optimizers are not one a role, a method teaches another than the
    student, or a distributed wrapper does not look for unused parameters (each turn uses some only).
    """

    def run(self):
        self.check()
        return super().run()

    def check(self):
        model, where = self.runner.model, 'vkd.AlternateTrainLoop'
        inner = unwrapped(model)
        if len(getattr(inner, 'learners', ())) < 2:
            raise UserError(
                f'{where}: no teacher learns, so there are no turns to take; set trainable=True at one, or take an IterBasedTrainLoop.'
            )
        if not isinstance(self.runner.optim_wrapper, PeerOptimWrapper):
            raise UserError(
                f"{where}: the roles share one optimizer, which each turn would step; give one to each of {', '.join(inner.learners)} by "
                "constructor='vkd.PerRole'."
            )
        other = next((wire for wire in inner.wires if wire.mutual or wire.roles[0] != 'student'), None)
        if other:
            raise UserError(
                f'{where}: {type(other.method).__name__} teaches {", ".join(other.roles if other.mutual else other.roles[:1])}, but in '
                'turns the student alone is taught; take an IterBasedTrainLoop for it.'
            )
        if is_model_wrapper(model) and not getattr(model, 'find_unused_parameters', True):
            raise UserError(
                f'{where}: several processes need model_wrapper_cfg with find_unused_parameters=True, since each turn passes some of the '
                'parameters only.'
            )

    def run_iter(self, data_batch):
        self.runner.call_hook('before_train_iter', batch_idx=self._iter, data_batch=data_batch)
        outputs = alternate_step(self.runner.model, data_batch, self.runner.optim_wrapper)
        self.runner.call_hook('after_train_iter', batch_idx=self._iter, data_batch=data_batch, outputs=outputs)
        self._iter += 1
