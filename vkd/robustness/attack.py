"""How much of its mIoU a network keeps under gradient attacks on the test images: FGSM and PGD, with full knowledge of the network."""

from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.runner import TestLoop
from mmengine.runner.amp import autocast
from mmseg.models.segmentors import BaseSegmentor

from ..build.networks import student_of, unwrapped
from ..distill.peers import ignored_label
from ..errors import UserError, choice
from ..registry import LOOPS
from .variants import evaluate_variants

ATTACKS = ('fgsm', 'pgd')


def fgsm(loss, image, eps, low, high):
    """The image moved by ``eps`` against the network, once. Goodfellow et al., "Explaining and Harnessing Adversarial Examples", ICLR 2015,
    sec. 4.

    Args:
        loss: ``image -> scalar`` to be raised.
        image: ``[B, C, H, W]``.
        eps: greatest change, in units of the image; a scalar or ``[C, 1, 1]``.
        low: least value of an image, likewise.
        high: greatest value of an image, likewise.
    """
    return torch.clamp(image + eps * _slope(loss, image).sign(), low, high)


def pgd(loss, image, eps, low, high, steps=10, rate=None, generator=None):
    """``steps`` steps of ``rate`` (2.5 eps / steps by default) from a random point, each brought back to within ``eps`` of the image. Madry
    et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018, eq. 3 and its sec. 4; arguments as for ``fgsm``.
    """
    start = 2 * torch.rand(image.shape, generator=generator).to(image) - 1
    rate, found = 2.5 * eps / steps if rate is None else rate, torch.clamp(image + eps * start, low, high)
    for _ in range(steps):
        moved = found + rate * _slope(loss, found).sign()
        found = torch.clamp(torch.minimum(torch.maximum(moved, image - eps), image + eps), low, high)
    return found


def _slope(loss, image):
    with torch.enable_grad():
        image = image.detach().requires_grad_()
        return torch.autograd.grad(loss(image), image)[0]


def pixel_loss(network, data_samples):
    """``image -> mean cross-entropy`` of a segmentor's scores, resized to the label, over its counted pixels; of one channel, binary."""
    without = next((s for s in data_samples if 'gt_sem_seg' not in s), None)
    if without is not None or len({s.gt_sem_seg.shape for s in data_samples}) > 1:
        raise UserError(
            'An attack raises the loss against the label, but '
            f'{"one of the test images has none" if without is not None else "those of a test batch differ in size"}; '
            'give the test pipeline LoadAnnotations, and test_dataloader batch_size=1.'
        )
    truth = torch.stack([s.gt_sem_seg.data for s in data_samples]).squeeze(1).long()

    ignored = ignored_label(dict(network=network), 'An attack')

    def loss(image):
        logits = network(image, mode='tensor').float()
        logits = F.interpolate(logits, size=truth.shape[-2:], mode='bilinear', align_corners=False)
        if logits.shape[1] == 1:
            counted = truth.to(logits.device) != ignored
            return F.binary_cross_entropy_with_logits(logits[:, 0][counted], truth.to(logits)[counted])
        return F.cross_entropy(logits, truth.to(logits.device), ignore_index=ignored)

    return loss


@LOOPS.register_module()
class AttackedTestLoop(TestLoop):
    """mmengine's test loop on attacked images: ``test_cfg = dict(type='vkd.AttackedTestLoop', attack='pgd', eps=2)``.

    The network is attacked in float32, as it stands in evaluation, through the very input that it is then tested on, in 0 to 255 before its
    preprocessor's mean and std.

    Args:
        attack: 'fgsm' or 'pgd'.
        eps: greatest change of a value, of 255.
        steps: of PGD.
        seed: of PGD's starts, together with the number of the batch.

    Raises UserError for an unknown attack or a strength that is not positive.
    """

    def __init__(self, runner, dataloader, evaluator, fp16=False, attack='pgd', eps=2.0, steps=10, seed=0):
        super().__init__(runner, dataloader, evaluator, fp16)
        check(attack, eps, steps)
        self.attack, self.eps, self.steps, self.seed = attack, eps, steps, seed

    def run_iter(self, idx, data_batch):
        self.runner.call_hook('before_test_iter', batch_idx=idx, data_batch=data_batch)
        model = unwrapped(self.runner.model)
        network = student_of(model)
        if not isinstance(network, BaseSegmentor):
            raise UserError(
                f'Attacks are on segmentors of mmseg, and this network is a {type(network).__name__}; give the config of a segmentor.'
            )
        with torch.no_grad():
            data = model.data_preprocessor(data_batch, False)
        data['inputs'] = self.attacked(network, data['inputs'], data['data_samples'], model.data_preprocessor, idx)
        with torch.no_grad(), autocast(enabled=self.fp16):
            outputs = model(**data, mode='predict')
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook('after_test_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs)

    def attacked(self, network, image, data_samples, preprocessor, idx=0):
        """``image [B, C, H, W]``, normalised by ``preprocessor``, moved against ``network``; ``idx`` is the number of the batch."""
        normal = getattr(preprocessor, '_enable_normalize', False)
        mean, std = (preprocessor.mean.to(image), preprocessor.std.to(image)) if normal else (0.0, 1.0)
        eps, low, high = self.eps / std, (0 - mean) / std, (255 - mean) / std
        asked = [p for p in network.parameters() if p.requires_grad]
        for p in asked:  # only the image's gradient is wanted
            p.requires_grad_(False)
        try:
            loss = pixel_loss(network, data_samples)
            if self.attack == 'fgsm':
                return fgsm(loss, image, eps, low, high)
            return pgd(loss, image, eps, low, high, self.steps, generator=torch.Generator().manual_seed(self.seed * 1_000_003 + idx))
        finally:
            for p in asked:
                p.requires_grad_(True)


def check(attack, eps, steps):
    """Raises UserError for an unknown attack, or a strength or number of steps that is none."""
    choice('Robustness', 'attack', attack, ATTACKS)
    if not (0 < eps <= 255 and steps >= 1):
        raise UserError(f'Attack {attack!r} was given eps {eps} and {steps} steps; eps is above 0 and at most 255, with at least one step.')


def evaluate_attacks(cfg, checkpoint, folder, names=ATTACKS, strengths=(2, 8), steps=10, seed=0, launcher='none', tell=lambda line: None):
    """``robustness.evaluate_variants`` of each attack at each strength (of 255), into ``folder / 'attacks.json'``; cells are named
    ``<attack>-<strength>``, PGD's with its steps, ``pgd10-2``.

    Raises:
        UserError: for an unknown attack, no strength, or a folder with results of another config, checkpoint or seed.
    """
    if not names or not strengths:
        raise UserError('No attack or no strength is named; name some, such as pgd at 2.')
    for name in names:
        for eps in strengths:
            check(name, eps, steps)

    def change(name, eps):
        def into(own):
            own.test_cfg = dict(type='vkd.AttackedTestLoop', attack=name, eps=eps, steps=steps, seed=seed)

        return into

    variants = {f'{n if n == "fgsm" else f"pgd{steps}"}-{eps:g}': change(n, eps) for n in names for eps in strengths}
    return evaluate_variants(cfg, checkpoint, Path(folder, 'attacks.json'), variants, seed, launcher, tell)
