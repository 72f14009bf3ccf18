"""PSNR and SSIM as super-resolution papers report them, by test set."""

import math

import torch
import torch.distributed as dist
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from ..errors import UserError, choice
from ..registry import METRICS
from .scores import PSNR, SSIM


def quantize(image):
    """Values in 0 to 1 -> the grey levels 0 to 255 that a file of 8 bits would hold (clamped, rounded half to even), floating."""
    return (image.clamp(0, 1) * 255).round()


def luma(image):
    """RGB ``[3, H, W]`` on 0 to 255 -> Y ``[1, H, W]`` of ITU-R BT.601 on 16 to 235, float64, not rounded (MATLAB's ``rgb2ycbcr`` before it
    rounds).
    """
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64, device=image.device).view(3, 1, 1)
    return 16 + (weights * image.double()).sum(0, keepdim=True) / 255


#: dB given to equal images, of which a mean could not be taken otherwise
EQUAL = 100.0


def psnr(a, b, peak=255.0):
    """Peak signal-to-noise ratio in dB (``EQUAL`` at most) of two images of one shape, a tensor without waiting for it."""
    return (10 * torch.log10(peak**2 / (a.double() - b.double()).square().mean())).clamp(max=EQUAL)


def ssim(a, b, peak=255.0, size=11):
    """Mean structural similarity of two images ``[C, H, W]``, over the places where the Gaussian window lies wholly inside, and over
    channels.

    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004, with its window and constants. Sides of
    ``size`` pixels or more.
    """
    window = [math.exp(-((i - size // 2) ** 2) / (2 * 1.5**2)) for i in range(size)]
    window = [w / sum(window) for w in window]

    def smooth(x):
        for dim in (-2, -1):  # sums of slices: torch's convolution of float64 is several times slower
            x = sum(w * x.narrow(dim, i, x.shape[dim] - size + 1) for i, w in enumerate(window))
        return x

    a, b = a.double(), b.double()
    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b, cov = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2, smooth(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    return ((2 * mean_a * mean_b + c1) * (2 * cov + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean()


@METRICS.register_module()
class RestorationMetric(BaseMetric):
    """PSNR (dB) and SSIM of ``pred_img`` (0 to 1) against ``gt_img`` (0 to 255), both RGB ``[3, H, W]``: of each image, then the mean over
    the images of each test set.

    The defaults are the protocol of published super-resolution tables: the prediction is rounded to 8 bits, both are converted to Y without
    rounding, ``crop_border`` pixels are shaved off each side, and values are averaged over images. A set is named by the samples' ``set``
    (``BasicImageDataset(sets=…)`` has several): the scores are ``Set5/PSNR`` and so on, and, of the first set (or ``main``), ``PSNR`` and
    ``SSIM`` alone.

    Every image must come once over all processes (``DefaultSampler(shuffle=False, round_up=False)``); padding is refused because it would
    count an image twice. After ``evaluate``, ``report`` holds the scores unrounded, by set (``sets``) and by image (``per_image``: ``{name:
    [PSNR, SSIM]}``). PSNR of equal images is 100 dB.

    Args:
        crop_border: pixels shaved off each side; by custom the scale.
        convert_to: 'Y', or None for RGB.
        y_mode: 'float' keeps Y as it is; 'uint8' rounds it first, as the Python script of IMDN's authors does (up to 0.1 dB less at x2).
        round_output: False leaves the prediction unrounded, as mmagic does.
        main: the set whose scores stand without its name.
        prefix: before all names.

    Raises:
        UserError: for an unknown option, a prediction of another size, an image too small, Y of images without three channels, or a value
            that is not finite.
    """

    default_prefix = None
    declared_scores = (PSNR, SSIM)

    def __init__(self, crop_border=0, convert_to='Y', y_mode='float', round_output=True, main=None, prefix=None):
        super().__init__(prefix=prefix)
        choice('RestorationMetric', 'convert_to', convert_to, ('Y', None))
        choice('RestorationMetric', 'y_mode', y_mode, ('float', 'uint8'))
        self.crop_border, self.convert_to, self.y_mode, self.round_output, self.main = crop_border, convert_to, y_mode, round_output, main
        self.values, self.report = [], None

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            name = self.name(sample)
            if 'gt_img' not in sample:
                raise UserError(f'{type(self).__name__}: {name} has no gt_img to be compared with; give the dataset a gt prefix.')
            self.values.append(
                (
                    str(sample.get('set', 'test')),
                    name,
                    self.scores(sample['pred_img'], sample['gt_img'].to(sample['pred_img'].device), name),
                )
            )

    def name(self, sample):
        return str(sample.get('name', len(self.values)))

    def scores(self, output, truth, name='an image'):
        """``[PSNR, SSIM]`` of ``output [C, H, W]`` in 0 to 1 and ``truth [C, H, W]`` on 0 to 255, a float64 tensor on their device."""
        if output.shape != truth.shape:
            raise UserError(
                f'{name}: prediction {"x".join(map(str, output.shape))} and truth {"x".join(map(str, truth.shape))} (channels x height x '
                'width) differ in size; give the network and the data the same scale.'
            )
        if self.convert_to == 'Y' and len(output) != 3:
            raise UserError(
                f'{name}: Y is worked out from RGB, but the image has {len(output)} channel{"s" * (len(output) != 1)}; set convert_to=None.'
            )
        border = self.crop_border
        if min(output.shape[-2:]) - 2 * border < 11:
            raise UserError(
                f'{name}: {output.shape[-2]}x{output.shape[-1]} pixels less a border of {border} on each side leave no room for the 11x11 '
                'window of SSIM; remove the image, or lower crop_border.'
            )
        pair = quantize(output) if self.round_output else output.clamp(0, 1) * 255, truth
        if self.convert_to == 'Y':
            pair = [luma(x) for x in pair]
            pair = [x.round() for x in pair] if self.y_mode == 'uint8' else pair
        a, b = (x[..., border : x.shape[-2] - border, border : x.shape[-1] - border] for x in pair)
        return torch.stack([psnr(a, b), ssim(a, b)])

    def evaluate(self, size):
        values = torch.stack([v for _, _, v in self.values]).tolist() if self.values else []
        rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)
        own = [(i * world + rank, *names[:2], v) for i, (names, v) in enumerate(zip(self.values, values, strict=False))]
        self.values = []
        if world > 1:
            gathered = [None] * world
            dist.all_gather_object(gathered, own)
            own = [row for part in gathered for row in part]
        rows = sorted(own)  # DefaultSampler deals the images out in turn, so this is the data set's order
        if len(rows) != size:
            raise UserError(
                f'{type(self).__name__} saw {len(rows)} images of a set of {size}; use sampler=dict(type="DefaultSampler", shuffle=False, '
                'round_up=False), so that each comes once.',
                code='incomplete-set',
            )
        broken = next((f'{s}/{name}' for _, s, name, v in rows if any(x != x for x in v)), None)
        if broken:
            raise UserError(
                f'{broken}: the prediction or the truth holds values that are not finite; look at the image, or at the weights.',
                code='not-finite',
            )
        sets = {}
        for _, key, name, v in rows:
            own = sets.setdefault(key, {})
            own[name if name not in own else f'{name}#{len(own)}'] = v
        if self.main not in (None, *sets):
            raise UserError(f'{type(self).__name__}: main is {self.main!r}, but the sets are {", ".join(sets)}; choose one of these.')
        self.report = self.describe(sets, len(rows))
        for key, own in self.report['sets'].items():
            told = ', '.join(f'{s.name} {own[s.name]:.{s.digits}f} {s.unit}'.rstrip() for s in self.declared_scores)
            MMLogger.get_current_instance().info(f'{key}: {told} ({own["images"]} images)')
        return {f'{self.prefix}/{k}' if self.prefix else k: v for k, v in self.compute_metrics(self.report).items()}

    def describe(self, sets, images):
        """What metrics.json holds, from ``{set: {image: [PSNR, SSIM]}}``."""

        def mean(rows, k):
            return sum(v[k] for v in rows.values()) / len(rows)

        own = {key: dict(images=len(rows), PSNR=mean(rows, 0), SSIM=mean(rows, 1), per_image=rows) for key, rows in sets.items()}
        first = own[self.main or next(iter(own))]
        return dict(images=images, PSNR=first['PSNR'], SSIM=first['SSIM'], sets=own)

    def compute_metrics(self, found):
        """What is logged of ``report``."""
        names = [k for k in ('PSNR', 'SSIM', 'RMSE') if k in found]
        scores = {f'{key}/{k}': own[k] for key, own in found['sets'].items() for k in names}
        return {k: round(v, 4) for k, v in {**scores, **{k: found[k] for k in names}}.items()}
