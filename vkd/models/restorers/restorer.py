"""A restoration network as an mmengine model."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement

from ...errors import UserError, choice
from ...registry import MODELS
from .outlier_cap import OutlierCap


def charbonnier_loss(output, truth, eps=1e-3):
    """Mean of ``sqrt(d^2 + eps^2)`` over all values. Lai et al., "Deep Laplacian Pyramid Networks", CVPR 2017, sec. 3.2."""
    return ((output - truth).square() + eps**2).sqrt().mean()


PIXEL_LOSSES = dict(l1=F.l1_loss, mse=F.mse_loss, smooth_l1=F.smooth_l1_loss, charbonnier=charbonnier_loss)


@MODELS.register_module()
class Restorer(BaseModel):
    """A network from images to images in mmengine's three modes; mmagic's ``BaseEditModel`` is its like.

    Images are RGB in 0 to 1 for every network of pictures; one that works on another range inside scales by itself. Networks of CT
    (``backbone.channels`` is 1) take and give attenuation in 1/cm, of which body and bone lie in 0 to 1. ``metainfo`` says so:
    ``value_range``, ``inner_range`` (of the network inside), ``scale``, ``channel_order`` ('rgb' or 'mu') and ``task_name``. Truths in data
    samples (``gt_img``, ``[C, sH, sW]``) are on 0 to ``truth_peak``: 255, as files are, or 1.

    - ``tensor``: ``[B, C, H, W]`` -> ``[B, C, s H, s W]``, unclamped.
    - ``loss``: ``dict(loss_pixel)``, on 0 to 1.
    - ``predict``: the data samples (new ones where none are given) with ``pred_img [C, s H, s W]``, float32, clamped to 0 to 1.

    Args:
        backbone: a network (dict or module), such as ``dict(type='IMDN', scale=4)``; as in mmsegmentation, taps and checkpoints name it
            ``backbone``.
        pixel_loss: 'l1', 'mse', 'smooth_l1' or 'charbonnier'.
        loss_weight: its weight.
        truth_peak: what ``gt_img`` has where the output has 1.
        loss_cap: options of an OutlierCap on the pixel loss, such as ``dict(window=50, factor=3)``; None leaves it as it is.

    Raises UserError for an unknown loss, an image smaller than the network's minimum, or a truth of another size than the output.
    """

    def __init__(self, backbone, pixel_loss='l1', loss_weight=1.0, truth_peak=255, loss_cap=None, data_preprocessor=None, init_cfg=None):
        super().__init__(data_preprocessor=data_preprocessor or dict(type='vkd.RestorationPreprocessor'), init_cfg=init_cfg)
        choice('Restorer', 'pixel_loss', pixel_loss, PIXEL_LOSSES)
        self.backbone = backbone if isinstance(backbone, torch.nn.Module) else MODELS.build({'_scope_': 'vkd', **backbone})
        self.pixel_loss, self.loss_weight, self.truth_peak = pixel_loss, loss_weight, truth_peak
        self.loss_cap = None if loss_cap is None else OutlierCap(**loss_cap)
        self.scale, self.min_size, self.channels = (
            getattr(self.backbone, 'scale', 1),
            getattr(self.backbone, 'min_size', 1),
            getattr(self.backbone, 'channels', 3),
        )
        self.metainfo = dict(
            task_name='sisr' if self.scale > 1 else 'restoration' if self.channels == 3 else 'ct',
            scale=self.scale,
            value_range=(0, 1),
            inner_range=(0, getattr(self.backbone, 'inner_range', 1)),
            channel_order='rgb' if self.channels == 3 else 'mu',
        )

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if inputs.shape[-2] < self.min_size or inputs.shape[-1] < self.min_size:
            raise UserError(
                f'{type(self.backbone).__name__} takes images with sides of {self.min_size} or more, but one of '
                f'{inputs.shape[-2]}x{inputs.shape[-1]} (height x width) was given; pad it, or use larger patches.'
            )
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        return self.backbone(inputs)

    def loss(self, inputs, data_samples):
        output, truth = self.backbone(inputs), stack_truth(data_samples, self.truth_peak)
        if output.shape != truth.shape:
            raise UserError(
                f'{type(self.backbone).__name__}: an output of {"x".join(map(str, output.shape[1:]))} faces a gt_img of '
                f'{"x".join(map(str, truth.shape[1:]))} for an input of '
                f'{"x".join(map(str, inputs.shape[1:]))} (channels x height x width); give the network (scale {self.scale}) and the data '
                'the same scale.'
            )
        loss = PIXEL_LOSSES[self.pixel_loss](output.float(), truth)
        return dict(loss_pixel=self.loss_weight * (loss if self.loss_cap is None else self.loss_cap(loss)))

    def predict(self, inputs, data_samples=None):
        images = getattr(self.backbone, 'predict', self.backbone)(inputs).float().clamp(0, 1)
        samples = data_samples or [BaseDataElement() for _ in images]
        for sample, image in zip(samples, images, strict=False):
            sample.set_data(dict(pred_img=image))
        return samples


def stack_truth(data_samples, peak=255):
    """``gt_img`` of all samples, on 0 to ``peak``, as one float32 batch in 0 to 1. Raises UserError for a sample without one."""
    missing = next((s for s in data_samples or [None] if s is None or 'gt_img' not in s), False)
    if missing is not False:
        raise UserError(
            f'Training needs gt_img, but {getattr(missing, "name", None) or "a data sample"} has none; give the dataset a gt prefix and '
            'PackInputs at the end of its pipeline.'
        )
    return torch.stack([s.gt_img for s in data_samples]).float() / peak
