import numpy as np
import pytest
from PIL import Image

from vkd import UserError
from vkd.physics.resize import contributions, cubic, imresize, mod_crop


def image(h=24, w=36, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (h, w, 3), dtype=dtype, endpoint=True)


def by_definition(rows, scale):
    """One axis, place by place, after the definition."""
    n, out = len(rows), []
    for i in range(int(np.ceil(len(rows) * scale))):
        centre, total, value = (i + 0.5) / scale - 0.5, 0.0, 0.0
        for j in range(int(np.floor(centre - 2 / scale)) - 1, int(np.ceil(centre + 2 / scale)) + 2):
            weight = float(cubic(np.array(scale * (centre - j))))
            mirrored = j % (2 * n)
            total, value = total + weight, value + weight * rows[min(mirrored, 2 * n - 1 - mirrored)]
        out.append(value / total)
    return np.array(out)


def test_kernel():
    assert cubic(np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0])).tolist() == [1, 0.5625, 0, -0.0625, 0, 0]


@pytest.mark.parametrize('scale', [1 / 2, 1 / 3, 1 / 4, 1 / 8, 0.7, 2, 3, 4])
def test_weights_and_constant(scale):
    for length in (5, 24, 37):
        weights, indices = contributions(length, int(np.ceil(length * scale)), scale)
        np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-14)
        assert indices.min() >= 0 and indices.max() < length
    for value in (0, 1, 77, 255):
        assert (imresize(np.full((24, 36, 3), value, np.uint8), scale) == value).all()


def test_a_ramp_by_hand():
    """x2 down: weights at distances 0.25, 0.75, 1.25, 1.75 (halved): 111, 29, -9 and -3 of 256 on either side; the border is mirrored."""
    half = np.array([111, 29, -9, -3]) / 256
    np.testing.assert_allclose(contributions(64, 32, 0.5)[0][10], [*half[::-1], *half], atol=1e-15)
    ramp = np.array([0.0, 64, 128, 192])  # the first place: (111 (0 + 64) + 29 (128 + 0) - 9 (192 + 64) - 3 (192 + 128)) / 256
    np.testing.assert_allclose(by_definition(ramp, 0.5), [29.5, 162.5], atol=1e-12)
    assert imresize(np.tile(ramp.astype(np.uint8), (4, 1)), 0.5).tolist() == [[30, 163]] * 2  # half up


@pytest.mark.parametrize('scale', [1 / 2, 1 / 3, 1 / 4])
def test_a_line_agrees_with_the_definition(scale):
    line = np.random.default_rng(3).random(36)
    np.testing.assert_allclose(imresize(line[:, None].repeat(12, 1), scale)[:, 0], by_definition(line, scale), atol=1e-12)


def test_integers_are_rounded_between_the_axes():
    source = image(48, 48)
    rows = np.stack([np.stack([by_definition(source[:, x, c], 0.25) for x in range(48)], 1) for c in range(3)], -1)
    rows = np.clip(np.floor(rows + 0.5), 0, 255)
    both = np.stack([np.stack([by_definition(rows[y, :, c], 0.25) for y in range(12)]) for c in range(3)], -1)
    found = imresize(source, 0.25)
    assert np.array_equal(found, np.clip(np.floor(both + 0.5), 0, 255)) and found.dtype == np.uint8
    once = np.clip(np.floor(imresize(source.astype(float), 0.25) + 0.5), 0, 255)
    assert 0 < (once != found).mean() < 0.3 and np.abs(once - found).max() <= 1


def test_types_sizes_and_views():
    assert imresize(image(25, 31), 1 / 4).shape == (7, 8, 3) and imresize(image(25, 31)[..., 0], 2).shape == (50, 62)
    assert (
        imresize(image(24, 36, dtype=np.uint16), 0.5).dtype == np.uint16 and imresize(image().astype(np.float32), 0.5).dtype == np.float32
    )
    assert np.array_equal(imresize(image(), size=(12, 18)), imresize(image(), 0.5))
    assert imresize(image(), size=(12, 72)).shape == (12, 72, 3)
    assert imresize(image(30, 30), 1 / 3).shape == (10, 10, 3) and imresize(image(300, 300), 0.07).shape == (21, 21, 3)
    assert mod_crop(image(25, 31), 4).shape == (24, 28, 3) and np.shares_memory(mod_crop(a := image(25, 31), 4), a)
    assert np.array_equal(imresize(image()[:, ::-1], 0.5), imresize(image(), 0.5)[:, ::-1])


@pytest.mark.parametrize(
    'options, text',
    [
        (dict(), 'one of the two'),
        (dict(scale=2, size=(2, 2)), 'one of the two'),
        (dict(scale=0), 'above zero'),
        (dict(size=(0, 4)), 'above zero'),
    ],
)
def test_bad_options(options, text):
    with pytest.raises(UserError, match=text):
        imresize(image(), **options)


@pytest.mark.parametrize('wrong', [np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8), np.zeros((4, 4), np.int64)])
def test_bad_images(wrong):
    with pytest.raises(UserError, match='imresize: an image of'):
        imresize(wrong, 0.5)


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_bit_equal_to_the_published_set5(sr_data, scale):
    files = sorted((sr_data / 'test/Set5/HR').glob('*.png'))
    assert len(files) == 5
    for file in files:
        hr = np.array(Image.open(file).convert('RGB'))
        lr = np.array(Image.open(sr_data / f'test/Set5/LR_bicubic/X{scale}/{file.stem}x{scale}.png').convert('RGB'))
        assert np.array_equal(imresize(mod_crop(hr, scale), 1 / scale), lr), file.name
