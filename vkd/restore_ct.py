"""Restoring CT slices and DICOM series; see ``vkd.restore`` for pictures."""
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .errors import UserError
from .physics.hounsfield import hu_to_mu, mu_to_hu
from .slices import list_series, read_slice, write_slice


@torch.no_grad()
def restore_slice(restorer, hu, scanner=None):
    """HU ``[H, W]`` float32 -> restored HU of that size.

    Borders are mirrored up to the network's multiple. ``scanner``: a data preprocessor that simulates few views of the slice first; without it the slice is taken for a reconstruction from few views.

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
        raise UserError('The network gives values that are not finite; look at its weights.')
    return mu_to_hu(y).cpu().numpy()


def plan_slices(sources, out, overwrite=False):
    """``[(file, file to write)]`` of slices, folders of ``.png`` or ``.npy`` slices, and folders of one DICOM series (any other folder), in the folder ``out``; names are kept.

    Raises UserError, before anything is written, for what is missing, a series that ``list_series`` refuses, results that share a name or exist already (unless ``overwrite``), or an ``out`` that is read from.
    """
    out, files = Path(out), []
    for source in map(Path, sources):
        folder = source if source.is_dir() else source.parent
        if out.resolve() == folder.resolve():
            raise UserError(f'Output folder {str(out)!r} is the folder of the input {str(source)!r}; choose another, so that nothing is taken for its own result.')
        if not source.exists():
            raise UserError(f'Input {str(source)!r} does not exist; give slices (16-bit PNG, npy, DICOM), or folders of them.')
        plain = sorted(p for p in source.iterdir() if p.suffix.lower() in ('.png', '.npy')) if source.is_dir() else [source]
        files += plain or list_series(source)
    taken, pairs = {}, [(file, out / file.name) for file in files]
    for file, target in pairs:
        if target in taken:
            raise UserError(f'Inputs {str(taken[target])!r} and {str(file)!r} would both become {str(target)!r}; restore them into two folders.')
        taken[target] = file
    there = [target for _, target in pairs if target.exists()]
    if there and not overwrite:
        raise UserError(f'{str(there[0])!r} exists already{f", and {len(there) - 1} more" if there[1:] else ""}; choose another folder, or say --overwrite.')
    return pairs


def restore_slices(restorer, sources, out, scanner=None, offset=1024, overwrite=False, progress=True):
    """Restores slices into the folder ``out``; returns the files written. One that cannot be read does not stop the others.

    A DICOM result has the geometry of its source, and one new series for all of one source series. ``offset``: what a PNG has at 0 HU.

    Raises UserError for what ``plan_slices`` refuses, and at the end where slices could not be restored.
    """
    pairs, written, failed, series = plan_slices(sources, out, overwrite), [], [], {}
    with Progress(TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task('slices', total=len(pairs))
        for file, target in pairs:
            try:
                hu, header = read_slice(file, offset)
                if header is not None:
                    from pydicom.uid import generate_uid
                    header.SeriesInstanceUID = series.setdefault(str(header.get('SeriesInstanceUID')), generate_uid())
                write_slice(target, restore_slice(restorer, hu, scanner), header, offset)
                written.append(target)
            except UserError as error:
                failed.append((file, error))
            bar.advance(task)
    if failed:
        raise UserError(f'{len(failed)} of {len(pairs)} slices could not be restored; {str(failed[0][0])!r}: {failed[0][1]}')
    return written
