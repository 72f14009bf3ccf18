import numpy as np
import pydicom
import pytest

from vkd import UserError
from vkd.io.slices import read_slice, write_slice


def write(path, **changes):
    """A slice of 4x4 pixels of 1000 + 0 … 15 with intercept -1024; an element whose change is None is left out."""
    uid = pydicom.uid.generate_uid()
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        changes.pop('syntax', pydicom.uid.ExplicitVRLittleEndian),
        pydicom.uid.CTImageStorage,
        uid,
    )
    header = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b'\0' * 128)
    pixels = np.arange(1000, 1016, dtype=np.uint16).tobytes()
    elements = (
        dict(
            SOPClassUID=pydicom.uid.CTImageStorage,
            SOPInstanceUID=uid,
            Rows=4,
            Columns=4,
            BitsAllocated=16,
            BitsStored=16,
            HighBit=15,
            PixelRepresentation=0,
            SamplesPerPixel=1,
            PhotometricInterpretation='MONOCHROME2',
            RescaleSlope=1,
            RescaleIntercept=-1024,
            PixelData=pixels,
        )
        | changes
    )
    for name, value in elements.items():
        if value is not None:
            setattr(header, name, value)
    if 'PixelData' in header:
        header['PixelData'].VR = 'OW'
        if header.file_meta.TransferSyntaxUID.is_compressed:
            header['PixelData'].is_undefined_length = True
    header.save_as(path, enforce_file_format=True)
    return path


def test_values_and_back(tmp_path):
    hu, header = read_slice(write(tmp_path / 'a.dcm'))
    assert np.array_equal(hu, np.arange(-24, -8, dtype=np.float32).reshape(4, 4))
    write_slice(tmp_path / 'b.dcm', hu + 0.4, header)
    assert np.array_equal(read_slice(tmp_path / 'b.dcm')[0], hu)


def test_without_slope_and_intercept(tmp_path):
    for name, value in (('none', None), ('empty', '')):
        assert read_slice(write(tmp_path / f'{name}.dcm', RescaleSlope=value, RescaleIntercept=value))[0][0, 0] == 1000


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(PixelData=None), "no pixels.*export it anew"),
        (dict(Rows=None), "Rows.*export it anew"),
        (dict(PixelData=b'\0' * 8), 'less than expected.*export it anew'),
        (
            dict(syntax='1.2.840.10008.1.2.4.90', PixelData=pydicom.encaps.encapsulate([b'\xff\xd8no image'])),
            'cannot be decoded.*uncompressed transfer syntax',
        ),
        (
            dict(syntax='1.2.840.10008.1.2.4.100', PixelData=pydicom.encaps.encapsulate([b'\xff\xd8no image'])),
            'not supported.*uncompressed transfer syntax',
        ),
        (dict(NumberOfFrames=2, Rows=2), r'\(2, 2, 4\); give files of one slice'),
    ],
)
def test_pixels_that_are_none(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        read_slice(write(tmp_path / 'a.dcm', **changes))
