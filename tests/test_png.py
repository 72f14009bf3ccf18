import io
import zlib

import cv2
import numpy as np
import pytest
from helpers.images import picture
from PIL import Image

from vkd.io.images import read_image
from vkd.io.png import PngWriter


def written(image, *bands):
    file = io.BytesIO()
    png = PngWriter(file, image.shape, image.dtype)
    for a, b in zip((0, *bands), (*bands, len(image)), strict=False):
        png.write(image[a:b])
    png.close()
    return file.getvalue()


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_readers_find_what_was_written(channels, dtype, tmp_path):
    image = picture(53, 37, channels, dtype)
    (tmp_path / 'a.png').write_bytes(written(image, 1, 20, 40))
    # OpenCV reads grey with alpha of 16 bits as RGBA
    expected = image[..., [0, 0, 0, 1]] if channels == 2 and dtype == np.uint16 else image
    assert np.array_equal(read_image(tmp_path / 'a.png'), expected) and read_image(tmp_path / 'a.png').dtype == dtype
    if channels != 2:
        order = [2, 1, 0, 3][:channels] if channels > 1 else [0]
        assert np.array_equal(cv2.imread(str(tmp_path / 'a.png'), cv2.IMREAD_UNCHANGED).reshape(53, 37, -1), image[..., order])


def test_bands_leave_no_trace_and_prediction_pays():
    y, x = np.mgrid[:64, :96]
    smooth = np.stack([2 * x, 2 * y, x + y], -1).astype(np.uint8)
    assert np.array_equal(np.array(Image.open(io.BytesIO(written(smooth, 5, 21)))), smooth)
    assert len(written(smooth)) < len(zlib.compress(smooth.tobytes())) / 2


@pytest.mark.parametrize('bands', [[(4, 6, 3)], [(8, 6, 3)], [(4, 5, 3)], [(4, 6, 4)]])
def test_bands_of_another_image(bands):
    png = PngWriter(io.BytesIO(), (6, 6, 3), np.uint8)
    with pytest.raises(ValueError, match='rows'):
        for shape in bands:
            png.write(np.zeros(shape, np.uint8))
        png.close()
