"""Projection and filtered back-projection against the analytic disc, scikit-image, deepinv, and themselves."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from helpers.errors import fails

from vkd import UserError
from vkd.physics.ct_noise import add_noise
from vkd.physics.fan_beam import Geometry, fbp, project, ramp, subsample
from vkd.physics.hounsfield import WINDOWS, hu_to_mu, mu_to_hu, window, window_name

SMALL = dict(size=32, views=24, bins=48, source=135.0)


def disc(size=256, radius=80.0, value=0.192, over=8):
    """A disc whose edge pixels hold their share of it."""
    at = (np.arange(size * over) + 0.5) / over - size / 2
    return torch.from_numpy((at[:, None] ** 2 + at**2 <= radius**2).reshape(size, over, size, over).mean((1, 3)) * value).float()[
        None, None
    ]


def blobs(size=32, seed=0, n=1):
    """Smooth images that are 0 towards the border."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, size, dtype=torch.float64)] * 2, indexing='ij')
    place = torch.Generator().manual_seed(seed)
    draw = torch.rand(n, 6, 3, generator=place, dtype=torch.float64)
    out = sum(
        torch.exp(
            -((x - (d[:, 0] - 0.5)[:, None, None]) ** 2 + (y - (d[:, 1] - 0.5)[:, None, None]) ** 2)
            / (0.01 + 0.05 * d[:, 2])[:, None, None]
        )
        for d in draw.unbind(1)
    )
    return (out * (x**2 + y**2 < 0.8))[:, None]


# -- the disc ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope='module')
def scanned():
    geometry = Geometry(views=180)
    return geometry, project(disc(), geometry)


def test_line_integrals_of_a_disc(scanned):
    geometry, sinogram = scanned
    central = sinogram[0, 0, :, [335, 336]]
    assert central.mean().item() == pytest.approx(30.72, abs=0.02) and central.mean().item() * geometry.pixel_cm == pytest.approx(
        4.915, abs=0.003
    )
    assert sinogram[0, 0, :, 376].mean().item() == pytest.approx(26.499, abs=0.02)  # bin 376 is 40.5 bins from the middle
    lateral = 40.5
    assert 2 * math.sqrt(80**2 - (lateral / math.hypot(1, lateral / 1075)) ** 2) * 0.192 == pytest.approx(26.499, abs=1e-3)
    # alike from all sides, away from the edge of the disc
    assert (sinogram - sinogram.mean(2, keepdim=True))[..., 280:392].abs().max() < 0.05


@pytest.mark.parametrize('weight, value', [('iso', 0.1916), ('textbook', 0.1920)])
def test_a_disc_comes_back(scanned, weight, value):
    geometry, sinogram = scanned
    image = fbp(sinogram, geometry, weight)[0, 0]
    y, x = torch.meshgrid(*[torch.arange(256) - 127.5] * 2, indexing='ij')
    assert image[x**2 + y**2 < 60**2].mean().item() == pytest.approx(value, abs=5e-4)
    assert fbp(0 * sinogram, geometry, weight).abs().max() == 0


# -- laws --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    'geometry',
    [
        Geometry(**SMALL),
        Geometry(**{**SMALL, 'size': (32, 24), 'views': 7}),
        Geometry(**{**SMALL, 'views': 18}),
        Geometry(**{**SMALL, 'source': math.inf, 'arc': 180, 'views': 10, 'bins': 47}),
        Geometry(**{**SMALL, 'source': math.inf, 'arc': 180, 'views': 9, 'pitch': 1.5}),
    ],
    ids=str,
)
def test_linear_and_adjoint(geometry):
    random = torch.Generator().manual_seed(0)
    x, a, b = (torch.rand(2, 1, *geometry.size, generator=random, dtype=torch.float64) for _ in range(3))
    y = torch.rand(2, 1, geometry.views, geometry.bins, generator=random, dtype=torch.float64)
    for operator, u, v in ((project, x, y), (lambda s, g: fbp(s, g, 'textbook'), y, x)):
        u = u.clone().requires_grad_()
        out = operator(u, geometry)
        (transposed,) = torch.autograd.grad(out, u, v)
        assert (out * v).sum().item() == pytest.approx((u * transposed).sum().item(), rel=1e-10)
    torch.testing.assert_close(project(2 * a - 3 * b, geometry), 2 * project(a, geometry) - 3 * project(b, geometry))
    torch.testing.assert_close(project(x[1:], geometry), project(x, geometry)[1:])  # a batch is its samples


def test_a_quarter_turn_of_the_image_shifts_the_views():
    geometry, x = Geometry(**SMALL), blobs()
    torch.testing.assert_close(project(torch.rot90(x, 1, (2, 3)), geometry), project(x, geometry).roll(-6, 2))


@pytest.mark.parametrize('views', [24, 18, 9])
def test_symmetric_groups_of_views_are_a_shortcut_only(views, monkeypatch):
    geometry, x = Geometry(**{**SMALL, 'views': views}), blobs(n=2)
    fast = project(x, geometry), fbp(project(x, geometry), geometry)
    monkeypatch.setattr(Geometry, 'turns', lambda self: (1, self.views, 0))
    torch.testing.assert_close(project(x, geometry), fast[0])
    torch.testing.assert_close(fbp(fast[0], geometry), fast[1])


def test_some_views_of_many_are_a_scan_of_few():
    geometry, x = Geometry(**{**SMALL, 'views': 720}), blobs()
    for views in (18, 36, 72, 144):
        torch.testing.assert_close(subsample(project(x, geometry), views), project(x, geometry.with_views(views)))
    assert not geometry.nested(50)
    with pytest.raises(UserError, match='720 views holds no 50'):
        subsample(project(x, geometry), 50)


def test_the_ramp():
    assert ramp(8)[0].item() == pytest.approx(0.25 - 2 / math.pi**2 * (1 + 1 / 9)) and ramp(2048)[-1].item() == pytest.approx(0.5, abs=1e-3)


def test_bf16_autocast_leaves_the_physics_alone():
    geometry, x = Geometry(**SMALL), blobs().float()
    with torch.autocast('cpu', torch.bfloat16):
        sinogram = project(x, geometry)
        image = fbp(sinogram, geometry)
    assert sinogram.dtype == image.dtype == torch.float32 and torch.equal(image, fbp(project(x, geometry), geometry))


# -- other implementations ---------------------------------------------------------------------------------------------
def smooth(size=65):
    """An image that is 0 outside the circle in it; of odd size, so that all conventions have one centre."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, size, dtype=torch.float64)] * 2, indexing='ij')
    return blobs(size) * (1 - (x**2 + y**2)).clamp(min=0) ** 2


def test_parallel_beams_against_scikit_image():
    from skimage.transform import iradon, radon

    x, degrees = smooth(), np.arange(90) * 2.0
    geometry = Geometry(size=65, views=90, bins=93, source=math.inf, arc=180)
    sinogram = project(x, geometry)
    theirs = radon(x[0, 0].numpy(), degrees, circle=False)
    ours = sinogram[0, 0].numpy().T
    ours = np.concatenate([ours[:, :1], ours[::-1, :0:-1]], 1)  # scikit-image turns the other way
    middle = len(theirs) // 2
    assert np.abs(ours[16:77] - theirs[middle - 30 : middle + 31]).mean() < 2e-3 * np.abs(theirs).mean()
    truth, image = x[0, 0].numpy(), fbp(sinogram, geometry)[0, 0].numpy()
    back = iradon(radon(truth, degrees, circle=True), degrees, circle=True)
    inside = np.hypot(*np.mgrid[-32:33, -32:33]) < 29
    error, other = (np.sqrt(((found - truth)[inside] ** 2).mean()) for found in (image, back))
    assert error < 0.01 * truth.max() and error < 1.1 * other


def test_a_fan_against_deepinv():
    deepinv = pytest.importorskip('deepinv', reason="the fan-beam oracle: pip install 'deepinv>=0.5'")
    x, views, scale = smooth().float(), 12, 64 / 65  # its pixel is that much larger than its unit
    theirs = deepinv.physics.Tomography(
        angles=torch.arange(views) * (360 / views),
        img_width=65,
        circle=True,
        normalize=False,
        fan_beam=True,
        device='cpu',
        fan_parameters=dict(pixel_spacing=1.0, source_radius=270.0, detector_radius=270.0, n_detector_pixels=121, detector_spacing=2.0),
    )
    sinogram = theirs.A(x)[0, 0].T
    ours = project(x, Geometry(size=65, views=views, bins=121, source=270.0 * scale, pitch=scale))[0, 0]
    ours = torch.stack([ours[(9 - i) % views].flip(0) for i in range(views)])  # it turns the other way, from another start
    # and takes samples to be one apart in depth, not along the ray
    ours = ours / torch.hypot(torch.ones(121), (torch.arange(121) - 60) / 270)
    assert (ours - sinogram).abs().mean() < 2e-3 * sinogram.abs().mean()


# -- noise -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize('mode', ['physical', 'batch_max'])
def test_noise(mode):
    sinogram = torch.linspace(0, 25, 100).repeat(2, 1, 50, 1) * torch.tensor([1.0, 0.5]).view(2, 1, 1, 1)

    def noisy(seed=0, **more):
        return add_noise(sinogram, mode=mode, generator=torch.Generator().manual_seed(seed), **{**dict(photons=1e6), **more})

    assert torch.equal(noisy(), noisy()) and not torch.equal(noisy(), noisy(1))
    torch.testing.assert_close(noisy(photons=math.inf), sinogram)
    spread = (noisy() - sinogram).std(2)
    if mode == 'batch_max':
        share = spread / sinogram.amax((1, 2, 3)).view(2, 1, 1)
        assert share.min() > 0.7e-3 and share.max() < 2.2e-3 and 1.0e-3 < share.mean() < 1.65e-3
        assert not torch.equal(noisy(per_sample=False)[1], noisy()[1]) and torch.equal(noisy(per_sample=False)[0], noisy()[0])
    else:
        nepers = sinogram[0, 0, 0] * 0.16
        torch.testing.assert_close(spread[0, 0], (torch.exp(nepers / 2) / 1e3 / 0.16), rtol=0.4, atol=0)
    dark = noisy(photons=1.0)  # a ray that counts nothing is taken to have counted one photon, all that there was
    assert dark.isfinite().all() and dark.max() == 0
    assert (noisy(photons=math.inf, gaussian=0.1) - sinogram).std().item() == pytest.approx(0.1 / 0.16, rel=0.05)


def test_noise_of_air_and_bad_numbers():
    air = torch.zeros(1, 1, 4, 8)
    assert add_noise(air, mode='batch_max').isfinite().all() and add_noise(air).isfinite().all()
    for options, text in ((dict(mode='x'), "mode 'x' is unknown"), (dict(photons=0), 'photons is 0'), (dict(gaussian=-1), 'gaussian -1')):
        with pytest.raises(UserError, match=text):
            add_noise(air, **options)


# -- units and bad input -----------------------------------------------------------------------------------------------
def test_hounsfield_units_and_windows():
    assert (
        hu_to_mu(0) == 0.192
        and hu_to_mu(-1000) == 0
        and hu_to_mu(3072) == pytest.approx(0.7818, abs=1e-4)
        and mu_to_hu(0.192) == pytest.approx(0)
        and hu_to_mu(-1024) == pytest.approx(-0.0046, abs=1e-4)
    )
    for value, (width, level), wanted in (
        (0, WINDOWS[0], 1 / 3),
        (50, WINDOWS[1], 0.5),
        (-600, WINDOWS[2], 0.5),
        (-2000, WINDOWS[0], 0),
        (5000, WINDOWS[0], 1),
    ):
        assert window(torch.tensor(float(value)), width, level).item() == pytest.approx(wanted)
    assert [window_name(*w) for w in WINDOWS] == ['w3000c500', 'w500c50', 'w800c-600']


@pytest.mark.parametrize(
    'options, text',
    [
        (dict(size=512), r'Geometry: \d+ corner pixels of 512x512 are not seen .*truncated=True'),
        (dict(source=100.0), 'within an image of 256x256'),
        (dict(views=0), 'above 0'),
        (dict(arc=180), 'with parallel rays'),
        (dict(pitch=-1), 'above 0'),
    ],
)
def test_geometries_that_are_none(options, text):
    with pytest.raises(UserError, match=text):
        Geometry(**options)


def test_corners_that_are_cut_off_are_counted():
    geometry = Geometry(size=512, truncated=True)
    y, x = np.mgrid[-255.5:256, -255.5:256]
    edge = 335.5
    assert geometry.hidden_pixels() == (np.hypot(x, y) > edge / np.hypot(1, edge / 1075)).sum() > 0 and Geometry().hidden_pixels() == 0
    assert Geometry(**asdict(geometry)) == geometry


def test_images_of_another_size():
    geometry = Geometry(**SMALL)
    for call, x in ((project, torch.zeros(1, 1, 32, 33)), (project, torch.zeros(1, 3, 32, 32)), (fbp, torch.zeros(1, 1, 23, 48))):
        with pytest.raises(UserError, match='The geometry is of a'):
            call(x, geometry)
    with fails('unknown-choice', 'fdk'):
        fbp(torch.zeros(1, 1, 24, 48), geometry, 'fdk')
