"""Image files as arrays, with their own channels and depth, and errors that name the file."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import UserError
from .files import write_whole

SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')
#: what a file's orientation asks for, of ``[H, W, …]``
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: np.rot90,
}
_KEPT = {'L': 1, 'LA': 2, 'RGB': 3, 'RGBA': 4}


def list_images(folder: Path | str) -> list[Path]:
    """Image files of ``folder`` (not below it), sorted by name. Raises UserError where there is no folder, or no image in it."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f'Folder {str(folder)!r} does not exist; give a folder of images.', code='no-such-file')
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise UserError(f'Folder {str(folder)!r} holds no image ({", ".join(SUFFIXES)}); put images there, or give another folder.')
    return files


def read_image(path: Path | str) -> np.ndarray:
    """``[H, W, C]`` of a file: uint8, or uint16 where it has 16 bits; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha).

    Palettes and CMYK become RGB, two-level images grey; an orientation in the file is applied.

    Raises UserError for a file that is missing, no image, cut off, or of numbers that are neither 8 nor 16 bits.
    """
    path = str(path)
    try:
        with Image.open(path) as file:
            deep = ';16' in str(file.tile) or file.mode.startswith('I;16')
            mode, orientation = file.mode, file.getexif().get(0x112, 1)
            file.load()  # all of it, which finds what is cut off
            ImageOps.exif_transpose(file, in_place=True)  # a second copy of a large image is not had in passing
            image = file
        if deep:
            out = cv2.imread(path, cv2.IMREAD_UNCHANGED)
            if out is None or out.dtype != np.uint16:
                raise UserError(f'Image {path!r} has 16 bits in a layout that cannot be read ({mode}); store it as PNG.')
            out = _TURNS.get(orientation, np.asarray)(out.reshape(*out.shape[:2], -1))  # OpenCV leaves it as it is
            return np.ascontiguousarray(out[..., [2, 1, 0, *range(3, out.shape[2])]] if out.shape[2] >= 3 else out)
        if mode in ('I', 'F'):
            raise UserError(f'Image {path!r} holds numbers of 32 bits ({mode}); store it with 8 or 16.')
        if image.mode not in _KEPT or 'transparency' in image.info:  # the latter in grey or RGB: one colour that is not there
            clear = 'transparency' in image.info or mode in ('PA', 'RGBa', 'La')
            image = image.convert(('LA' if clear else 'L') if mode in ('1', 'L') else 'RGBA' if clear else 'RGB')
        out = _to_array(image)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f'Image {path!r} does not exist; give the path of a file.', code='no-such-file') from error
    except Image.DecompressionBombError as error:
        raise UserError(f'Image {path!r} is larger than Pillow opens ({" ".join(str(error).split())[:120]}); cut it into parts.') from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f'Image {path!r} cannot be read ({type(error).__name__}: {" ".join(str(error).split())[:120]}); it is cut off or no image: '
            'replace the file.',
            code='broken-file',
        ) from error
    return out


def image_size(path: Path | str) -> tuple[int, int]:
    """``(height, width)`` as a file's header says (before an orientation is applied), without decoding it. Raises UserError for a file that
    is missing or no image.
    """
    try:
        with Image.open(path) as file:
            return file.height, file.width
    except FileNotFoundError as error:
        raise UserError(f'Image {str(path)!r} does not exist; give the path of a file.', code='no-such-file') from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f'Image {str(path)!r} cannot be read ({type(error).__name__}); it is cut off or no image: replace the file.', code='broken-file'
        ) from error


def _to_array(image: Image.Image, rows: int = 256) -> np.ndarray:
    """``[H, W, C]`` uint8 of a Pillow image, copied band by band: Pillow hands out pixels by a copy of its own."""
    out = np.empty((image.height, image.width, _KEPT[image.mode]), np.uint8)
    for y in range(0, image.height, rows):
        band = np.asarray(image.crop((0, y, image.width, min(y + rows, image.height))))
        out[y : y + rows] = band.reshape(*band.shape[:2], -1)
    return out


def to_rgb(image: np.ndarray, path: Path | str) -> np.ndarray:
    """``[H, W, C]`` -> ``[H, W, 3]``: grey is repeated, alpha dropped where nothing is transparent. Raises UserError where something is."""
    channels = image.shape[2]
    if channels in (2, 4):
        if (image[..., -1] != np.iinfo(image.dtype).max).any():
            raise UserError(
                f'Image {str(path)!r} has transparent pixels, of which there is no truth to learn or to compare with; flatten it onto a '
                'background.'
            )
        image = image[..., :-1]
    return np.ascontiguousarray(image.repeat(3, 2) if channels <= 2 else image)


def write_image(path: Path | str, image: np.ndarray) -> None:
    """Writes ``[H, W, C]`` (channels as ``read_image`` gives them; uint8 or uint16), whole or not at all. Raises UserError for a format
    that cannot hold it.
    """
    path, channels = Path(path), image.shape[2]
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f'Image {str(path)!r}: the format {suffix!r} is not written; choose one of {", ".join(SUFFIXES)}.')
    if image.dtype == np.uint16 and suffix not in ('.png', '.tif', '.tiff') or channels in (2, 4) and suffix in ('.jpg', '.jpeg', '.bmp'):
        what = '16 bits' if image.dtype == np.uint16 else 'transparency'
        raise UserError(f'Image {str(path)!r}: {suffix} cannot hold {what}; write .png.')
    if image.dtype == np.uint16:
        if channels == 2:  # neither library writes grey with alpha in 16 bits
            image = image[..., [0, 0, 0, 1]]
        order = [2, 1, 0, *range(3, image.shape[2])] if image.shape[2] >= 3 else [0]
        done, encoded = cv2.imencode(suffix, image[..., order])
        if not done:
            raise UserError(f'Image {str(path)!r} cannot be written as {suffix}; write .png.')
        data = encoded.tobytes()
    else:
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if channels == 1 else image, next(m for m, c in _KEPT.items() if c == channels)).save(
            file, Image.registered_extensions()[suffix], **(dict(quality=95) if suffix in ('.jpg', '.jpeg') else {})
        )
        data = file.getvalue()
    write_whole(path, lambda out: out.write(data))


def cached(path: Path | str, folder: Path | str, make: Callable[[], np.ndarray] | None = None, kind: str = 'rgb') -> np.ndarray:
    """What ``make()`` gives of the image file ``path`` (by default ``to_rgb(read_image(path))``) as a read-only memory map of a ``.npy`` in
    ``folder``, made at the first call; a changed file gets a new one.

    A crop of it reads the pages of the crop only, so a patch costs no decoding. ``kind`` tells results of different ``make`` apart.
    """
    path = Path(path)
    try:
        facts = kind, path.resolve(), path.stat().st_mtime_ns, path.stat().st_size
    except FileNotFoundError as error:
        raise UserError(f'Image {str(path)!r} does not exist; give the path of a file.', code='no-such-file') from error
    target = Path(folder, f'{path.stem}-{hashlib.sha256(repr(tuple(map(str, facts))).encode()).hexdigest()[:16]}.npy')
    if not target.is_file():
        image = to_rgb(read_image(path), path) if make is None else make()
        write_whole(target, lambda file: np.save(file, image))
    try:
        found: np.ndarray = np.load(target, mmap_mode='r', allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(
            f'Cached image {str(target)!r} of {str(path)!r} cannot be read ({type(error).__name__}); remove it, it is made anew.'
        ) from error
    return found
