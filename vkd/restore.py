"""Restoring image files of any size: tiles with overlap, grey, alpha and depth kept."""
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .checkpoint import load_into
from .errors import UserError
from .images import list_images, read_image, write_image
from .models.restorers import Restorer
from .networks import build_model, split_role
from .physics.resize import imresize
from .profile import quiet, scope


def load_restorer(cfg, checkpoint):
    """The Restorer of a Config (the student of a Distiller, or the model itself) with the weights of ``checkpoint``, in eval mode.

    Raises UserError where the config is of another kind of network, or the checkpoint does not fit.
    """
    model = cfg.model
    if str(model.get('type')).rsplit('.', 1)[-1] == 'Distiller':
        model = split_role(model['student'], 'student')[0]
    with scope(cfg), quiet():
        network = build_model(model)
    if not isinstance(network, Restorer):
        raise UserError(f'Config {cfg.filename!r} is of {type(network).__name__}, which gives no images; give one of a Restorer.')
    load_into(network, checkpoint, 'student')
    return network.eval()


def tiles(length, tile, overlap):
    """``[(start, stop, first, last)]``: each place of ``length`` is in one ``start:stop``, seen with ``overlap`` more on either side, ``first:last``, as far as there is any."""
    tile = min(tile or length, length)
    return [(a, min(a + tile, length), max(a - overlap, 0), min(a + tile + overlap, length)) for a in range(0, length, tile)]


@torch.no_grad()
def restore_image(restorer, image, tile=256, overlap=32, step=lambda: None):
    """``image [H, W, C]`` (uint8 or uint16; C is 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha) -> ``[s H, s W, C]`` of the same type.

    Grey goes through as three equal channels, of whose results the mean is taken; alpha is resized bicubically. Memory beyond the two images is that of one tile.

    Args:
        tile: pixels of the input a side at a time; 0 takes the whole image. overlap: what a tile sees beyond its own, on each side; where it is the network's reach or more, tiles leave no trace.
        step: called after each tile.

    Raises UserError where the network gives values that are not finite.
    """
    if tile < 0 or overlap < 0:
        raise UserError(f'tile is {tile} and overlap {overlap}; give numbers of pixels, 0 or more.')
    peak, scale, channels = np.iinfo(image.dtype).max, restorer.scale, image.shape[2]
    device, run = next(restorer.parameters()).device, getattr(restorer.backbone, 'predict', restorer.backbone)
    colours = channels - (channels in (2, 4))
    out = np.empty((image.shape[0] * scale, image.shape[1] * scale, channels), image.dtype)
    for top, bottom, y0, y1 in tiles(image.shape[0], tile, max(overlap, 4)):
        for left, right, x0, x1 in tiles(image.shape[1], tile, max(overlap, 4)):
            seen = image[y0:y1, x0:x1]
            x = torch.from_numpy(seen[..., :colours].astype(np.float32)).to(device).permute(2, 0, 1)[None] / peak
            x = x.expand(-1, 3, -1, -1)
            short = [max(restorer.min_size - n, 0) for n in x.shape[-2:]]
            y = run(F.pad(x, (0, short[1], 0, short[0]), mode='replicate') if any(short) else x)[0].float()
            own = [slice(scale * (a - b), scale * (c - b)) for a, b, c in ((top, y0, bottom), (left, x0, right))]
            y = y[:, own[0], own[1]]
            if not y.isfinite().all():
                raise UserError('The network gives values that are not finite; look at its weights.')
            y = y if colours == 3 else y.mean(0, keepdim=True)
            target = out[scale * top:scale * bottom, scale * left:scale * right]
            target[..., :colours] = (y.clamp(0, 1).double() * peak).round().permute(1, 2, 0).cpu().numpy()
            if channels > colours:
                target[..., colours] = imresize(np.ascontiguousarray(seen[..., colours]), scale)[own[0], own[1]] if scale != 1 else seen[own[0], own[1], colours]
            step()
    return out


def plan(sources, out, overwrite=False):
    """``[(image file, file to write)]`` of files and folders ``sources``: the stem with ``.png``, or ``.tif`` for a TIFF, in the folder ``out``.

    Raises UserError, before anything is written, where a source is missing, ``out`` is a folder that images are read from, two results share a name, or one exists already (unless ``overwrite``).
    """
    out, files = Path(out), []
    for source in map(Path, sources):
        folder = source if source.is_dir() else source.parent
        if out.resolve() == folder.resolve():
            raise UserError(f'Output folder {str(out)!r} is the folder of the input {str(source)!r}; choose another, so that nothing is taken for its own result.')
        if not source.exists():
            raise UserError(f'Input {str(source)!r} does not exist; give image files or folders.')
        files += list_images(source) if source.is_dir() else [source]
    pairs = [(file, out / f'{file.stem}{".tif" if file.suffix.lower() in (".tif", ".tiff") else ".png"}') for file in files]
    taken = {}
    for file, target in pairs:
        if target in taken:
            raise UserError(f'Inputs {str(taken[target])!r} and {str(file)!r} would both become {str(target)!r}; restore them into two folders.')
        taken[target] = file
    there = [target for _, target in pairs if target.exists()]
    if there and not overwrite:
        raise UserError(f'{str(there[0])!r} exists already{f", and {len(there) - 1} more" if there[1:] else ""}; choose another folder, or say --overwrite.')
    return pairs


def restore_files(restorer, sources, out, tile=256, overlap=32, overwrite=False, progress=True):
    """Restores image files and folders into the folder ``out``; returns the files written. One that cannot be read does not stop the others.

    Raises UserError for what ``plan`` refuses, and at the end where images could not be restored.
    """
    written, failed = [], []
    pairs = plan(sources, out, overwrite)
    with Progress(TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True), disable=not progress) as bar:
        whole, part = bar.add_task('images', total=len(pairs)), bar.add_task('tiles')
        for file, target in pairs:
            try:
                image = read_image(file)
                bar.reset(part, total=len(tiles(image.shape[0], tile, overlap)) * len(tiles(image.shape[1], tile, overlap)), description=file.name)
                write_image(target, restore_image(restorer, image, tile, overlap, lambda: bar.advance(part)))
                written.append(target)
            except UserError as error:
                failed.append((file, error))
            bar.advance(whole)
    if failed:
        raise UserError(f'{len(failed)} of {len(pairs)} images could not be restored; {str(failed[0][0])!r}: {failed[0][1]}')
    return written
