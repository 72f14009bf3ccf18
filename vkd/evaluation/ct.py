"""PSNR, SSIM and RMSE of CT slices in the windows in which they are looked at."""

import statistics

import torch
import torch.nn.functional as F

from ..errors import UserError
from ..physics.hounsfield import WINDOWS, mu_to_hu, window, window_name
from ..registry import METRICS
from .restoration import RestorationMetric, psnr, ssim
from .scores import PSNR, RMSE, SSIM

_NAMES = PSNR.name, SSIM.name, RMSE.name


def window_scores(output, truth, width, level):
    """``[PSNR, SSIM, RMSE]``, a float64 tensor, of two slices in HU, ``[1, H, W]``, in one window: PSNR (dB) and SSIM of the window's 0 to
    1, RMSE in HU.

    SSIM is the mean of a map of the image's size, borders padded with 0 (11x11 Gaussian of 1.5, constants 0.01 and 0.03), as in GloReDi's
    release. PSNR of equal slices is given as 100 dB.
    """
    a, b = (window(x.double(), width, level) for x in (output, truth))
    padded = (F.pad(x, [5] * 4) for x in (a, b))
    return torch.stack([psnr(a, b, 1.0), ssim(*padded, peak=1.0), width * (a - b).square().mean().sqrt()])


@METRICS.register_module()
class CTMetric(RestorationMetric):
    """PSNR (dB), SSIM and RMSE (HU) of ``pred_img`` against ``gt_img``, both attenuation in 1/cm ``[1, H, W]``, in several windows: of each
    slice, then the mean over the slices of each test set.

    Both are clipped to the first window before others are taken, as in GloReDi's release. A set and a window are one name, ``test
    w500c50``; ``PSNR``, ``SSIM`` and ``RMSE`` alone are of the first set (or ``main``) in the first window. ``report`` also holds
    ``spread`` (standard deviation, least and greatest over slices), ``per_patient`` (means) and ``per_image``.

    Args:
        windows: ``(width, level)`` in HU.
        main: the set, without a window, whose scores stand without its name.
        prefix: before all names.

    Raises UserError as RestorationMetric does.
    """

    declared_scores = (PSNR, SSIM, RMSE)

    def __init__(self, windows=WINDOWS, main=None, prefix=None):
        super().__init__(main=main, prefix=prefix)
        self.windows = [tuple(w) for w in windows]

    def name(self, sample):
        return f'{sample.get("patient", "?")}:{sample.get("name", len(self.values))}'

    def scores(self, output, truth, name='a slice'):
        """All windows' scores in a row."""
        if output.shape != truth.shape or len(output) != 1:
            raise UserError(
                f'{name}: prediction {"x".join(map(str, output.shape))} and truth {"x".join(map(str, truth.shape))} (channels x height x '
                'width) are not two grey slices of one size; fix the data or the network.'
            )
        (width, level), *_ = self.windows
        output, truth = (mu_to_hu(x.double()).clamp(level - width / 2, level + width / 2) for x in (output, truth))
        return torch.cat([window_scores(output, truth, *own) for own in self.windows])

    def describe(self, sets, images):
        out = {}
        for key, rows in sets.items():
            patients = {}
            for name in rows:
                patients.setdefault(name.split(':')[0], []).append(name)
            for i, own in enumerate(self.windows):
                values = {name: row[3 * i : 3 * i + 3] for name, row in rows.items()}
                columns = dict(zip(_NAMES, zip(*values.values(), strict=False), strict=False))
                out[f'{key} {window_name(*own)}'] = dict(
                    images=len(rows),
                    **{k: statistics.fmean(v) for k, v in columns.items()},
                    spread={k: dict(std=statistics.pstdev(v), min=min(v), max=max(v)) for k, v in columns.items()},
                    per_patient={
                        p: dict(images=len(names), **{k: statistics.fmean(values[n][j] for n in names) for j, k in enumerate(_NAMES)})
                        for p, names in patients.items()
                    },
                    per_image=values,
                )
        first = out[f'{self.main or next(iter(sets))} {window_name(*self.windows[0])}']
        return dict(images=images, **{k: first[k] for k in _NAMES}, sets=out)
