"""PNG files written band by band, so that a large image is never held as a whole."""

import struct
import zlib
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels: grey, grey and alpha, RGB, RGB and alpha
_PAETH, _ROWS = 4, 16  # one filter for all rows, which suits photographs; so many rows are filtered at a time


class PngWriter:
    """Writes an image ``[H, W, C]`` of uint8 or uint16 (C is 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha) to ``file``, open for bytes:
    ``write`` bands of rows from the top, then ``close``.

    Portable Network Graphics (PNG) Specification, W3C 2003: colour types in sec. 11.2.2, the Paeth filter in sec. 9.4.

    Raises ValueError where the bands are not the image that was announced.
    """

    def __init__(self, file: BinaryIO, shape: tuple[int, int, int], dtype: npt.DTypeLike, level: int = 6) -> None:
        self.file, self.shape, self.dtype, self.rows = file, tuple(shape), np.dtype(dtype), 0
        self.deflate, self.above = zlib.compressobj(level), None
        file.write(b'\x89PNG\r\n\x1a\n')
        self._chunk(b'IHDR', struct.pack('>IIBBBBB', shape[1], shape[0], 8 * self.dtype.itemsize, _COLOUR_TYPES[shape[2]], 0, 0, 0))

    def write(self, band: np.ndarray) -> None:
        """The next rows, ``[h, W, C]``."""
        if band.shape[1:] != self.shape[1:] or band.dtype != self.dtype or self.rows + len(band) > self.shape[0]:
            raise ValueError(
                f'A band of {band.shape}, {band.dtype}, was given after {self.rows} rows of an image of {self.shape}, {self.dtype}.'
            )
        self.rows += len(band)
        for i in range(0, len(band), _ROWS):
            self._chunk(b'IDAT', self.deflate.compress(self._filtered(band[i : i + _ROWS])))

    def close(self) -> None:
        """Ends the file, after its last row."""
        if self.rows != self.shape[0]:
            raise ValueError(f'{self.rows} rows were given of an image of {self.shape}.')
        self._chunk(b'IDAT', self.deflate.flush())
        self._chunk(b'IEND', b'')

    def _filtered(self, rows: np.ndarray) -> bytes:
        """The bytes of ``rows``, each less what its neighbours to the left, above and above left foretell."""
        step = rows.shape[2] * self.dtype.itemsize
        raw = np.ascontiguousarray(rows, self.dtype.newbyteorder('>')).view(np.uint8).reshape(len(rows), -1)
        padded = np.zeros((len(raw) + 1, raw.shape[1] + step), np.int16)
        padded[1:, step:] = raw
        if self.above is not None:
            padded[0, step:] = self.above
        left, above, corner = padded[1:, :-step], padded[:-1, step:], padded[:-1, :-step]
        to_left, to_above, to_corner = np.abs(above - corner), np.abs(left - corner), np.abs(left + above - 2 * corner)
        foretold = np.where((to_left <= to_above) & (to_left <= to_corner), left, np.where(to_above <= to_corner, above, corner))
        self.above, out = raw[-1].copy(), np.full((len(raw), raw.shape[1] + 1), _PAETH, np.uint8)
        out[:, 1:] = raw - foretold.astype(np.uint8)
        return out.tobytes()

    def _chunk(self, kind: bytes, data: bytes) -> None:
        if data or kind == b'IEND':
            self.file.write(struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data)))
