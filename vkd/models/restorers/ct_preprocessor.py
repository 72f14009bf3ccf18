"""From slices to what few views show of them: the scanner stands between the data and the network."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.model import BaseDataPreprocessor

from ...errors import UserError, choice
from ...io.files import write_whole
from ...physics.ct_noise import add_noise
from ...physics.fan_beam import WEIGHTS, Geometry, fbp, project, subsample
from ...registry import MODELS


@MODELS.register_module()
class SparseViewCTPreprocessor(BaseDataPreprocessor):
    """Slices of attenuation ``[1, H, W]`` (1/cm) -> their filtered back-projections from few views, simulated on the device without
    gradients.

    ``inputs`` is that of ``views``, ``[B, 1, H, W]``; in training with ``teacher_views`` it is ``dict(student=…, dense=…)``, and a teacher
    takes ``view='dense'``. Each data sample gets ``gt_img [1, H, W]``: the noise-free back-projection from all views of the geometry, which
    is the truth (not the slice itself); so ``truth_peak=1`` of a Restorer.

    Noise is drawn from the device's global stream in training, and anew for each of the two inputs; otherwise every slice has its own, from
    ``seed``, whatever the batch.

    Args:
        geometry: options of the full scan's ``Geometry``.
        views: how many the student sees; where they do not divide the full scan's, their angles are not among its, which is told once.
        teacher_views: how many the teacher sees.
        weight: 'iso' or 'textbook', see ``vkd.physics.fan_beam.fbp``.
        noise: options of ``add_noise`` (``photons``, ``mode``, ``gaussian``, ``per_sample``); None adds none.
        cache: folder of noise-free back-projections, made at first need; a file is named by a hash of the geometry, the weight and the
            slice's content, and is whole or absent. None works them out each time.

    Raises UserError for slices of different sizes or another than the geometry's, or a cached file that cannot be read.
    """

    def __init__(self, geometry=None, views=36, teacher_views=None, weight='iso', noise=None, cache=None, seed=0):
        super().__init__()
        self.full, self.weight, self.noise, self.cache, self.seed = Geometry(**(geometry or {})), weight, dict(noise or {}), cache, seed
        choice('SparseViewCTPreprocessor', 'weight', weight, WEIGHTS)
        unknown = set(self.noise) - {'photons', 'mode', 'gaussian', 'per_sample'}
        if unknown:
            raise UserError(
                f'SparseViewCTPreprocessor: noise has no option {sorted(unknown)[0]!r}; choose among photons, mode, gaussian and '
                'per_sample.'
            )
        self.sparse, self.dense = (self.full.with_views(v) if v else None for v in (views, teacher_views))
        for own in filter(None, (self.sparse, self.dense)):
            if not self.full.nested(own.views):
                print_log(
                    f'{own.views} views do not divide the {self.full.views} of the full scan: their angles are not among its',
                    logger='current',
                )

    @torch.no_grad()
    def forward(self, data, training=False):
        slices = [torch.as_tensor(x) for x in data['inputs']]
        if len({tuple(x.shape) for x in slices}) > 1:
            raise UserError(
                f'A batch holds slices of {" and ".join(sorted({"x".join(map(str, x.shape)) for x in slices}))} (channels x height x '
                'width); resize them to one size.'
            )
        names = (
            [hashlib.sha256(x.float().contiguous().cpu().numpy().tobytes()).hexdigest() for x in slices]
            if self.cache or self.noise and not training
            else None
        )
        data = self.cast_data(dict(data, inputs=torch.stack(slices)))
        mu = data['inputs'].float()
        truth, sinogram = self._cached(mu, self.full, names)
        inputs = self._seen(mu, self.sparse, sinogram, names, training)
        if training and self.dense:
            inputs = dict(student=inputs, dense=self._seen(mu, self.dense, sinogram, names, training))
        samples = data.get('data_samples')
        for sample, image in zip(samples or (), truth, strict=False):
            sample.set_data(dict(gt_img=image))
        return dict(data, inputs=inputs, data_samples=samples)

    def _seen(self, mu, geometry, sinogram, names, training):
        """The back-projection of ``geometry``'s views, noisy where there is noise; ``sinogram`` is the full scan's, if it is at hand."""
        if not self.noise:
            return self._cached(mu, geometry, names, sinogram)[0]
        clean = self._project(mu, geometry, sinogram)
        options = dict(self.noise, pixel_cm=geometry.pixel_cm)
        if training:
            return fbp(add_noise(clean, **options), geometry, self.weight)
        seeds = [int(hashlib.sha256(f'{self.seed}/{geometry.views}/{name}'.encode()).hexdigest()[:15], 16) for name in names]
        return fbp(
            torch.cat(
                [
                    add_noise(s[None], **options, generator=torch.Generator(s.device).manual_seed(seed))
                    for s, seed in zip(clean, seeds, strict=False)
                ]
            ),
            geometry,
            self.weight,
        )

    def _project(self, mu, geometry, sinogram=None):
        return subsample(sinogram, geometry.views) if sinogram is not None and self.full.nested(geometry.views) else project(mu, geometry)

    def _cached(self, mu, geometry, names, sinogram=None):
        """``(noise-free back-projections, sinogram if it was worked out for all)``."""
        if not self.cache:
            sinogram = self._project(mu, geometry, sinogram)
            return fbp(sinogram, geometry, self.weight), sinogram
        files = [self.file(name, geometry) for name in names]
        missing = [i for i, file in enumerate(files) if not file.is_file()]
        made = None
        if missing:
            made = self._project(mu[missing], geometry, None if sinogram is None else sinogram[missing])
            for i, image in zip(missing, fbp(made, geometry, self.weight).cpu().numpy(), strict=False):
                write_whole(files[i], lambda file, image=image: np.save(file, image))
        return torch.stack([self._load(file, geometry) for file in files]).to(mu), made if len(missing) == len(files) else None

    def file(self, name, geometry):
        """Where the back-projection of the slice with the hash ``name`` is kept."""
        key = hashlib.sha256(repr((sorted(asdict(geometry).items()), self.weight, name)).encode()).hexdigest()
        return Path(self.cache, f'fbp-{key[:40]}.npy')

    @staticmethod
    def _load(file, geometry):
        try:
            image = np.load(file, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise UserError(
                f'Cached back-projection {str(file)!r} cannot be read ({type(error).__name__}); remove it, it is made anew.'
            ) from error
        if image.shape != (1, *geometry.size) or image.dtype != np.float32:
            raise UserError(f'Cached back-projection {str(file)!r} holds {image.dtype} of shape {image.shape}; remove it, it is made anew.')
        return torch.from_numpy(image)
