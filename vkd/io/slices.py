"""Files of CT slices as Hounsfield units, and back: 16-bit PNG, npy, DICOM, with errors that name the file."""

import io
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError
from .files import write_whole
from .images import read_image, write_image

if TYPE_CHECKING:
    from pydicom import Dataset

#: HU of air and of what is taken for the densest tissue: a slice wholly beyond either was read with a wrong offset
_AIR, _DENSE = -1024, 3072


def read_slice(path: Path | str, offset: float = 1024) -> 'tuple[np.ndarray, Dataset | None]':
    """``(hu [H, W] float32, header)`` of a file: HU of a PNG are its 16-bit values less ``offset``, of a ``.npy`` its values; the header is
    a DICOM's data set, else None.

    Any other suffix, or none, is read as DICOM, with its slope and intercept.

    Raises UserError for a file that cannot be read, has 8 bits, is not one grey image, or whose values are no HU: not finite, or all of
        them above 3072 or below -1024.
    """
    path, header = Path(path), None
    if path.suffix.lower() == '.png':
        image = read_image(path)
        if image.dtype != np.uint16 or image.shape[2] != 1:
            raise UserError(
                f'Slice {str(path)!r} has {8 * image.dtype.itemsize} bits and {image.shape[2]} channel{"s" * (image.shape[2] > 1)}; HU '
                'need a grey PNG of 16 bits: 8 are a picture of one window.'
            )
        hu = image[..., 0].astype(np.float32) - offset
    elif path.suffix.lower() == '.npy':
        try:
            hu = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise UserError(
                f'Slice {str(path)!r} cannot be read ({type(error).__name__}); it is missing, cut off, or holds objects: store numbers '
                'with np.save.',
                code='broken-file',
            ) from error
        if hu.ndim != 2 or hu.dtype.kind not in 'iuf':
            raise UserError(f'Slice {str(path)!r} holds {hu.dtype} of shape {hu.shape}; give HU [H, W].')
        hu = hu.astype(np.float32)
    else:
        header = read_header(path)
        hu = dicom_hu(header, path)
    check_hu(hu, path)
    return hu, header


def check_hu(hu: np.ndarray, path: Path | str) -> None:
    """Raises UserError where ``hu`` cannot be Hounsfield units."""
    if not hu.size or not np.isfinite(hu).all():
        raise UserError(f'Slice {str(path)!r} is empty or holds values that are not finite; replace the file.', code='not-finite')
    if hu.min() > _DENSE or hu.max() < _AIR:
        raise UserError(
            f'Slice {str(path)!r} lies between {hu.min():.0f} and {hu.max():.0f} HU, where there is neither air nor tissue; its offset is '
            'another one (DeepLesion has 32768), or it is no CT.'
        )


def _pydicom() -> ModuleType:
    try:
        import pydicom
    except ImportError as error:
        raise UserError("DICOM needs pydicom; run pip install -e '.[ct]'.") from error
    return pydicom


def read_header(path: Path | str) -> 'Dataset':
    """A DICOM file's data set. Raises UserError where it is none."""
    pydicom = _pydicom()
    try:
        header: Dataset = pydicom.dcmread(path)
    except FileNotFoundError as error:
        raise UserError(f'Slice {str(path)!r} does not exist; give the path of a file.', code='no-such-file') from error
    except (pydicom.errors.InvalidDicomError, OSError, ValueError, EOFError, KeyError) as error:
        raise UserError(
            f'Slice {str(path)!r} cannot be read as DICOM ({type(error).__name__}); it is cut off, or no CT: give 16-bit PNG, npy or DICOM.',
            code='broken-file',
        ) from error
    return header


def dicom_hu(header: 'Dataset', path: Path | str) -> np.ndarray:
    """``[H, W]`` float32 of a data set: stored values times its slope plus its intercept. Raises UserError for several frames, pixels that
    cannot be decoded, or none.
    """
    try:
        pixels = header.pixel_array
    except RuntimeError as error:  # pydicom: no decoder for this compression, or all of them failed
        raise UserError(
            f'Slice {str(path)!r} has pixels that cannot be decoded ({" ".join(str(error).split())[:160]}); convert it to an uncompressed '
            'transfer syntax.'
        ) from error
    except (AttributeError, ValueError) as error:  # pydicom: an element that pixels need is missing, or does not fit them
        raise UserError(
            f'Slice {str(path)!r} has no pixels, or pixels that cannot be decoded by what its header says '
            f'({" ".join(str(error).split())[:160]}); export it anew, as an image of CT.'
        ) from error
    if pixels.ndim != 2:
        raise UserError(f'Slice {str(path)!r} holds pixels of shape {pixels.shape}; give files of one slice, not of several frames.')
    slope, intercept = rescale(header)
    return pixels.astype(np.float32) * slope + intercept


def rescale(header: 'Dataset') -> tuple[float, float]:
    """``(slope, intercept)`` from stored values to HU; 1 and 0 where the data set does not say, or an element is empty."""
    slope, intercept = header.get('RescaleSlope'), header.get('RescaleIntercept')
    return 1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)


def position(header: 'Dataset', path: Path | str) -> float:
    """Place of a slice along the normal of its plane, in mm. Raises UserError where the data set does not say."""
    try:
        origin = np.array([float(v) for v in header.ImagePositionPatient])
        row, column = np.array([float(v) for v in header.ImageOrientationPatient]).reshape(2, 3)
    except (AttributeError, ValueError, TypeError) as error:
        raise UserError(
            f'Slice {str(path)!r} does not say where it lies (ImagePositionPatient, ImageOrientationPatient); restore it as a single file.'
        ) from error
    return float(origin @ np.cross(row, column))


def list_series(folder: Path | str) -> list[Path]:
    """``[path]`` of the slices of one DICOM series in ``folder``, in order of place.

    Raises UserError for files of several series, sizes or pixel spacings, two slices at one place, or steps between slices that differ: one
        is missing.
    """
    files = sorted(p for p in Path(folder).iterdir() if p.is_file() and not p.name.startswith('.'))
    if not files:
        raise UserError(f'Folder {str(folder)!r} is empty; give a folder of one DICOM series.')
    headers = [read_header(p) for p in files]
    for what, tags in dict(
        series=('SeriesInstanceUID',), spacing=('PixelSpacing',), orientation=('ImageOrientationPatient',), size=('Rows', 'Columns')
    ).items():
        found = {tuple(str(h.get(t)) for t in tags): p for h, p in zip(headers, files, strict=True)}
        if len(found) > 1:
            (a, first), (b, other), *_ = found.items()
            raise UserError(
                f'Folder {str(folder)!r} mixes slices of unlike {what}: {", ".join(a)} of {first.name!r} and {", ".join(b)} of '
                f'{other.name!r}; give one series a folder.'
            )
    placed = sorted(((position(h, p), p) for h, p in zip(headers, files, strict=True)), key=lambda x: x[0])
    steps = np.diff([z for z, _ in placed])
    if len(steps) and steps.min() < 1e-3:
        i = int(steps.argmin())
        raise UserError(
            f'Folder {str(folder)!r}: {placed[i][1].name!r} and {placed[i + 1][1].name!r} lie at the same place ({placed[i][0]:.2f} mm); '
            'give one series a folder.'
        )
    if len(steps) > 1 and steps.max() > 1.5 * np.median(steps):
        i = int(steps.argmax())
        raise UserError(
            f'Folder {str(folder)!r}: between {placed[i][1].name!r} and {placed[i + 1][1].name!r} are {steps[i]:.2f} mm, elsewhere '
            f'{np.median(steps):.2f}; a slice is missing: add it.'
        )
    return [p for _, p in placed]


def write_slice(path: Path | str, hu: np.ndarray, header: 'Dataset | None' = None, offset: float = 1024) -> None:
    """Writes ``hu [H, W]``, whole or not at all: 16-bit PNG (plus ``offset``, rounded, clipped), npy (float32), or, with the ``header`` of
    the slice that it was made from, DICOM.

    A DICOM result keeps all tags that say where and how large it is; it is a new, derived image (``ImageType``, ``SOPInstanceUID``),
    uncompressed, with the slope and intercept of its source.
    """
    path = Path(path)
    if path.suffix.lower() == '.npy':
        return write_whole(path, lambda file: np.save(file, hu.astype(np.float32)))
    if header is None:
        return write_image(path, np.clip(np.rint(hu + offset), 0, 65535).astype(np.uint16)[..., None])
    pydicom = _pydicom()
    slope, intercept = rescale(header)
    kind = np.int16 if header.PixelRepresentation else np.uint16
    limits = np.iinfo(kind)
    stored = np.clip(np.rint((hu.astype(np.float64) - intercept) / slope), limits.min, limits.max).astype(kind)
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelData = stored.tobytes()
    header['PixelData'].VR = 'OW'
    for tag in ('SmallestImagePixelValue', 'LargestImagePixelValue', 'LossyImageCompressionRatio'):
        header.pop(tag, None)
    header.ImageType = ['DERIVED', 'SECONDARY', *list(header.get('ImageType', []))[2:]]
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    file = io.BytesIO()
    header.save_as(file, enforce_file_format=True)
    return write_whole(path, lambda out: out.write(file.getvalue()))
