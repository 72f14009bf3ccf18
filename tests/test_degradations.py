import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from vkd import UserError
from vkd.physics.degradations import add_noise, blur, degrade, gaussian_kernel, jpeg
from vkd.physics.resize import imresize


def image(h=48, w=64, seed=0):
    smooth = gaussian_filter(np.random.default_rng(seed).random((h, w, 3)), (3, 3, 0))
    return ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)


def test_blur_agrees_with_scipy():
    own, theirs = blur(image().astype(float), 1.5), gaussian_filter(image().astype(float), (1.5, 1.5, 0), truncate=5 / 1.5, mode='reflect')
    assert len(gaussian_kernel(1.5)) == 11
    np.testing.assert_allclose(own, theirs, atol=1e-9)
    assert np.array_equal(blur(image(), 0), image()) and blur(image(), 1.5).dtype == np.uint8


def test_noise_has_its_strength_and_its_seed():
    grey = np.full((100, 100, 3), 128, np.uint8)
    a, b = (add_noise(grey, 10, torch.Generator().manual_seed(4)) for _ in range(2))
    assert np.array_equal(a, b) and a.std() == pytest.approx(10, rel=0.03) and a.mean() == pytest.approx(128, abs=0.3)
    deep = add_noise(np.full((100, 100, 3), 30000, np.uint16), 10, torch.Generator().manual_seed(4))
    assert deep.dtype == np.uint16 and deep.std() == pytest.approx(2570, rel=0.03)


def test_jpeg_keeps_channels_in_order_and_loses_more_at_lower_quality():
    red = np.zeros((16, 16, 3), np.uint8) + np.array([250, 10, 10], np.uint8)
    assert np.abs(jpeg(red, 95).astype(int) - red).max() < 8
    errors = [np.abs(jpeg(image(), q).astype(int) - image()).mean() for q in (95, 50, 10)]
    assert errors == sorted(errors) and errors[0] < errors[2]
    with pytest.raises(UserError, match='8 bits'):
        jpeg(image().astype(np.uint16), 50)


def test_all_of_it_follows_the_generator():
    def one(seed):
        return degrade(image(), 2, generator=torch.Generator().manual_seed(seed))

    before = torch.get_rng_state()
    assert np.array_equal(one(1), one(1)) and not np.array_equal(one(1), one(2)) and one(1).shape == (24, 32, 3)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(degrade(image(), 4, None, None, None), imresize(image(), 1 / 4))
