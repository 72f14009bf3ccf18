"""Features of a frozen encoder, computed once for each view of an image."""

import hashlib

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log

from ..build.networks import unwrapped
from ..distill.taps import parse_tap, student_input
from ..errors import UserError
from ..models.backbones import TimmViT
from ..registry import HOOKS
from .hooks import random_state, set_random_state


@HOOKS.register_module()
class FeatureCache(Hook):
    """Keeps the maps that a frozen TimmViT backbone of the student gives of training images, in the host's memory, and computes those of
    new views only.

    A view is known by the bytes of the image that the pipeline gives: a flipped image is another one. Each is computed alone, so that its
    features do not depend on its batch and a resumed run equals an uninterrupted one; they differ from those of an encoder that runs on
    whole batches by rounding. Kept are the blocks' maps before the pyramid, ``4 x C x H/p x W/p`` numbers a view.

    Args:
        gib: memory that each process may use; views beyond it are computed each time.

    Raises:
        UserError: before training, for an encoder that learns or is no TimmViT, for taps inside it, which would not run, and where the
            views of one image hardly ever repeat (random crops, colours).
    """

    draws = 8  # of the first training image, to see how many views it has

    def __init__(self, gib=4.0):
        self.limit, self.used, self.kept, self.told = gib * 2**30, 0, {}, False
        self.keys = self.version = self.encoder = None

    # -- before training ---------------------------------------------------------------------------------------------------
    def before_train(self, runner):
        dataset, before = runner.train_loop.dataloader.dataset, random_state()
        views = {self._key(student_input(dataset[0]['inputs'])) for _ in range(self.draws)}
        set_random_state(before)
        if len(views) > self.draws // 2:
            raise UserError(
                f'FeatureCache: of {self.draws} draws of the first training image {len(views)} differ, so its features would hardly ever '
                'be used again; '
                'take random crops, sizes and colours out of the training pipeline, or this hook out of custom_hooks.'
            )
        self.attach(unwrapped(runner.model))

    def attach(self, model):
        """Stands between the encoder of the student of ``model`` (a Distiller) and what reads it, until ``after_train``."""
        encoder = getattr(model.student, 'backbone', None)
        if not isinstance(encoder, TimmViT) or not encoder.frozen or encoder.out_indices is None:
            raise UserError(
                'FeatureCache: the student has no frozen TimmViT backbone that gives maps; set frozen=True and out_indices, or take this '
                'hook out of custom_hooks.'
            )
        inside = next(
            (tap for wire in model.wires for tap in wire.taps.get('student', ()) if parse_tap(tap)[1].startswith('backbone.')), None
        )
        if inside:
            raise UserError(
                f'FeatureCache: {inside!r} is read inside the frozen encoder, which does not run on a view that is kept; tap what it gives '
                '(backbone[0]), or take this hook out of custom_hooks.'
            )
        if getattr(model.data_preprocessor, 'batch_augments', None):
            raise UserError(
                'FeatureCache: the data preprocessor has batch_augments, which change images after they were told apart; take them out, or '
                'this hook out of custom_hooks.'
            )
        self.encoder, encoder.cache = encoder, self

    # -- in training ---------------------------------------------------------------------------------------------------------
    @staticmethod
    def _key(image):
        return hashlib.blake2b(image.numpy().tobytes(), digest_size=16).digest()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.keys = [self._key(image) for image in student_input(data_batch['inputs'])]  # on the host still

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.keys = None

    def maps(self, x, compute):
        """``compute(x)``, maps ``[B, C, h, w]`` of images ``x [B, 3, H, W]``; outside a training step nothing is kept."""
        if self.keys is None:
            return compute(x)
        version = sum(t._version for t in self.encoder.state_dict().values())  # torch counts changes in place
        if version != self.version:
            self.kept, self.used, self.version = {}, 0, version
        found = [self._of(key, image, compute) for key, image in zip(self.keys, x, strict=True)]
        return [torch.stack([y.to(x.device, non_blocking=True) for y in same]) for same in zip(*found, strict=False)]

    def _of(self, key, image, compute):
        key = key, tuple(image.shape)  # padded otherwise, it is another image
        if key in self.kept:
            return self.kept[key]
        maps = [y[0] for y in compute(image[None])]
        size = sum(y.nbytes for y in maps)
        if self.used + size <= self.limit:
            self.kept[key], self.used = [y.to('cpu', copy=True) for y in maps], self.used + size
        elif not self.told:
            print_log(
                f'FeatureCache: {self.used / 2**30:.1f} GiB hold {len(self.kept)} views; more are computed each time (gib=…).',
                logger='current',
            )
            self.told = True
        return maps

    def after_train(self, runner):
        if self.encoder is not None:
            self.encoder.cache = None
        self.kept, self.used, self.keys = {}, 0, None
