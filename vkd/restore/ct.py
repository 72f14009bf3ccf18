"""Restoring CT slices and DICOM series; see ``vkd.restore.images`` for pictures."""

import torch
import torch.nn.functional as F

from ..errors import UserError
from ..io.slices import list_series, read_slice, write_slice
from ..physics.hounsfield import hu_to_mu, mu_to_hu
from .images import plan, restore_each


@torch.no_grad()
def restore_slice(restorer, hu, scanner=None):
    """HU ``[H, W]`` float32 -> restored HU of that size.

    Borders are mirrored up to the network's multiple. ``scanner``: a data preprocessor that simulates few views of the slice first; without
    it the slice is taken for a reconstruction from few views.

    Raises UserError where the network gives values that are not finite.
    """
    device = next(restorer.parameters()).device
    x = torch.from_numpy(hu_to_mu(hu)).to(device)[None, None]
    if scanner is not None:
        x = scanner(dict(inputs=list(x)))['inputs']
    h, w = x.shape[-2:]
    multiple = getattr(restorer.backbone, 'divisor', 1)
    y = restorer(F.pad(x, (0, -w % multiple, 0, -h % multiple), mode='replicate'))[0, 0, :h, :w].float()
    if not y.isfinite().all():
        raise UserError('The network gives values that are not finite; look at its weights.', code='not-finite')
    return mu_to_hu(y).cpu().numpy()


def slices_in(folder):
    """The ``.png`` or ``.npy`` slices of a folder; of any other folder, the files of its one DICOM series. Raises UserError for a series
    that ``list_series`` refuses.
    """
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in ('.png', '.npy')) or list_series(folder)


def plan_slices(sources, out, overwrite=False):
    """``restore.plan`` of slices, folders of them, and folders of one DICOM series; names are kept."""
    return plan(sources, out, overwrite, slices_in, lambda file: file.name, 'slices (16-bit PNG, npy, DICOM), or folders of them')


def restore_slices(restorer, sources, out, scanner=None, offset=1024, overwrite=False, progress=True):
    """Restores slices into the folder ``out``; returns the files written. One that cannot be read does not stop the others.

    A DICOM result has the geometry of its source, and one new series for all of one source series. ``offset``: what a PNG has at 0 HU.

    Raises UserError for what ``plan_slices`` refuses, and at the end where slices could not be restored.
    """
    series = {}

    def one(file, target, bar):
        hu, header = read_slice(file, offset)
        if header is not None:
            from pydicom.uid import generate_uid

            header.SeriesInstanceUID = series.setdefault(str(header.get('SeriesInstanceUID')), generate_uid())
        write_slice(target, restore_slice(restorer, hu, scanner), header, offset)

    return restore_each(plan_slices(sources, out, overwrite), 'slices', one, progress)
