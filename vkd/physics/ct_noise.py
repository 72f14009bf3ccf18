"""Noise of a scan: counts of photons, and what the electronics add."""

import math

import torch

from ..errors import UserError, choice

MODES = 'physical', 'batch_max'


def add_noise(sinogram, photons=1e6, mode='physical', gaussian=0.0, pixel_cm=0.16, per_sample=True, generator=None):
    """A noisy copy of a noise-free ``sinogram [B, 1, views, bins]`` of attenuation (1/cm) times pixels, in the same units.

    With line integrals ``s`` in nepers (the sinogram times ``pixel_cm``):

    - 'physical': a ray counts ``N ~ Poisson(photons exp(-s))``, and ``s' = -ln(N / photons)``.
    - 'batch_max': GloReDi's release, ``N ~ Poisson(photons exp(-s / M))`` and ``s' = -M ln(N / photons)``, where M is the greatest value:
      the densest ray is always attenuated by 1/e, so that the noise is about 0.001 M to 0.00165 M for 10^6 photons whatever the object. M
      is that of each sample, or of the whole batch (``per_sample=False``, as released), where the noise of a sample depends on the others
      in its batch.

    A ray that counts nothing is taken to have counted one photon, since it would be infinite.

    Args:
        photons: how many leave the source towards each detector cell; ``inf`` adds no counting noise.
        gaussian: standard deviation of additive noise, in nepers.
        generator: of torch, on the sinogram's device; the global stream by default.

    Raises UserError for an unknown mode, ``photons`` of 0 or less, or a negative ``gaussian``.
    """
    choice('Noise', 'mode', mode, MODES)
    if not photons > 0 or gaussian < 0:
        raise UserError(f'Noise: photons is {photons} and gaussian {gaussian}; give a number above 0, and one of 0 or more.')
    nepers = sinogram.double() * pixel_cm
    if not math.isinf(photons):
        scale = 1.0
        if mode == 'batch_max':
            scale = (nepers.amax((1, 2, 3), keepdim=True) if per_sample else nepers.amax()).clamp(min=1e-12)  # of air alone it is 0
        counts = torch.poisson(photons * torch.exp(-nepers / scale), generator=generator)
        nepers = -scale * torch.log(counts.clamp(min=1) / photons)
    if gaussian:
        nepers = nepers + gaussian * torch.randn(nepers.shape, generator=generator, dtype=nepers.dtype, device=nepers.device)
    return (nepers / pixel_cm).to(sinogram.dtype)
