"""Restoring image files of any size: tiles with overlap, grey, alpha and depth kept."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from ..build.built import quiet, scope
from ..build.checkpoint import load_into
from ..build.config import type_name
from ..build.memory import forward_bytes, free_bytes
from ..build.networks import build_model, split_role
from ..errors import UserError
from ..io.files import write_whole
from ..io.images import list_images, read_image, write_image
from ..io.png import PngWriter
from ..models.restorers import Restorer
from ..physics.resize import imresize

#: pixels of the input a side at a time, where nothing else is asked for
TILE = 256


def load_restorer(cfg, checkpoint):
    """The Restorer of a Config (the student of a Distiller, or the model itself) with the weights of ``checkpoint``, in eval mode.

    Raises UserError where the config is of another kind of network, or the checkpoint does not fit.
    """
    model = cfg.model
    if type_name(model) == 'Distiller':
        model = split_role(model['student'], 'student')[0]
    with scope(cfg), quiet():
        network = build_model(model)
    if not isinstance(network, Restorer):
        raise UserError(f'Config {cfg.filename!r} is of {type(network).__name__}, which gives no images; give one of a Restorer.')
    load_into(network, checkpoint, 'student')
    return network.eval()


def pools_globally(network):
    """Whether a part of ``network`` looks at the whole map, so that tiles see other statistics than the image has: torch's adaptive pooling
    to one place, or a module that says so by ``global_pooling = True``.
    """
    pooling = nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d
    return any(getattr(m, 'global_pooling', False) or (isinstance(m, pooling) and m.output_size in (1, (1, 1))) for m in network.modules())


def _run_of(network):
    return getattr(network, 'predict', network)


def choose_tile(restorer, size, tile=None):
    """``(tile, sentence)`` for an image of ``size = (H, W)``: the side of a tile, 0 for the whole image, and what the user should know of
    it, None where there is nothing.

    ``tile=None``: 256; but of a network that ``pools_globally`` an image that is larger is restored whole, where twice the tensors of its
    forward pass fit in the memory that is free.
    """
    asked, tile = tile is not None, TILE if tile is None else tile
    if not tile or max(size) <= tile or not pools_globally(restorer.backbone):
        return tile, None
    name = f'{type(restorer.backbone).__name__} pools over the whole image'
    changed = f'tiles of {tile} see other statistics than the image has and change the result'
    if asked:
        return tile, f'{name}: {changed}; --tile 0 restores whole.'
    device, (h, w) = next(restorer.parameters()).device, (max(n, restorer.min_size) for n in size)
    needed = forward_bytes(restorer.backbone, (1, 3, h, w), lambda network, x: _run_of(network)(x))
    if 2 * needed <= free_bytes(device):
        return 0, f'{name}, so images are restored whole; --tile {tile} takes less memory and changes the result.'
    return tile, (
        f'{name}, but {size[0]}x{size[1]} take about {needed / 2**30:.1f} GiB, more than half of what is free: {changed}; --tile 0 restores '
        'whole where memory allows.'
    )


def tiles(length, tile, overlap):
    """``[(start, stop, first, last)]``: each place of ``length`` is in one ``start:stop``, seen with ``overlap`` more on either side,
    ``first:last``, as far as there is any.
    """
    tile = min(tile or length, length)
    return [(a, min(a + tile, length), max(a - overlap, 0), min(a + tile + overlap, length)) for a in range(0, length, tile)]


@torch.no_grad()
def restore_bands(restorer, image, tile=None, overlap=32, step=lambda: None):
    """``image [H, W, C]`` (uint8 or uint16; C is 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha) -> the bands of rows ``[s h, s W, C]``
    of its restored image, of the same type, from the top.

    Grey goes through as three equal channels, of whose results the mean is taken; alpha is resized bicubically. Memory beyond the image is
    that of one tile and one band.

    Args:
        tile: pixels of the input a side at a time; 0 takes the whole image, None leaves it to ``choose_tile``.
        overlap: what a tile sees beyond its own, on each side; where it is the network's reach or more, tiles leave no trace.
        step: called after each tile.

    Raises UserError where the network gives values that are not finite.
    """
    if (tile or 0) < 0 or overlap < 0:
        raise UserError(f'tile is {tile} and overlap {overlap}; give numbers of pixels, 0 or more.')
    if tile is None:
        tile, _ = choose_tile(restorer, image.shape[:2])
    peak, scale, channels = np.iinfo(image.dtype).max, restorer.scale, image.shape[2]
    device, run = next(restorer.parameters()).device, _run_of(restorer.backbone)
    colours = channels - (channels in (2, 4))
    for top, bottom, y0, y1 in tiles(image.shape[0], tile, max(overlap, 4)):
        band = np.empty((scale * (bottom - top), scale * image.shape[1], channels), image.dtype)
        for left, right, x0, x1 in tiles(image.shape[1], tile, max(overlap, 4)):
            seen = image[y0:y1, x0:x1]
            x = torch.from_numpy(seen[..., :colours].astype(np.float32)).to(device).permute(2, 0, 1)[None] / peak
            x = x.expand(-1, 3, -1, -1)
            short = [max(restorer.min_size - n, 0) for n in x.shape[-2:]]
            y = run(F.pad(x, (0, short[1], 0, short[0]), mode='replicate') if any(short) else x)[0].float()
            own = [slice(scale * (a - b), scale * (c - b)) for a, b, c in ((top, y0, bottom), (left, x0, right))]
            y = y[:, own[0], own[1]]
            if not y.isfinite().all():
                raise UserError('The network gives values that are not finite; look at its weights.', code='not-finite')
            y = y if colours == 3 else y.mean(0, keepdim=True)
            target = band[:, scale * left : scale * right]
            target[..., :colours] = (y.clamp(0, 1).double() * peak).round().permute(1, 2, 0).cpu().numpy()
            if channels > colours:
                target[..., colours] = (
                    imresize(np.ascontiguousarray(seen[..., colours]), scale)[own[0], own[1]]
                    if scale != 1
                    else seen[own[0], own[1], colours]
                )
            step()
        yield band
        del band, target  # or it would stay while the next one is made


def restore_image(restorer, image, tile=None, overlap=32, step=lambda: None):
    """``image [H, W, C]`` -> ``[s H, s W, C]`` of the same type: all of ``restore_bands``."""
    return np.concatenate(list(restore_bands(restorer, image, tile, overlap, step)))


def write_restored(target, restorer, image, tile=None, overlap=32, step=lambda: None):
    """Restores ``image`` into the file ``target``, whole or not at all: a PNG band by band as they come, any other format at the end."""
    if target.suffix != '.png':
        return write_image(target, restore_image(restorer, image, tile, overlap, step))

    def write(file):
        png = PngWriter(file, (image.shape[0] * restorer.scale, image.shape[1] * restorer.scale, image.shape[2]), image.dtype)
        for band in restore_bands(restorer, image, tile, overlap, step):
            png.write(band)
            del band
        png.close()

    write_whole(target, write)


def image_name(file):
    """What an image is restored into: its stem with ``.png``, or ``.tif`` for a TIFF."""
    return f'{file.stem}{".tif" if file.suffix.lower() in (".tif", ".tiff") else ".png"}'


def plan(sources, out, overwrite=False, inside=list_images, name=image_name, wanted='image files or folders'):
    """``[(file, file to write)]`` of files and folders ``sources``, in the folder ``out``: ``inside(folder)`` lists the files of a folder,
    ``name(file)`` names a result, ``wanted`` says what is taken.

    Raises UserError, before anything is written, where a source is missing, ``out`` is a file, or a folder that images are read from, two
    results share a name, or one exists already (unless ``overwrite``).
    """
    out, files = Path(out), []
    if out.exists() and not out.is_dir():
        raise UserError(f'Output {str(out)!r} is a file; give a folder.')
    for source in map(Path, sources):
        folder = source if source.is_dir() else source.parent
        if out.resolve() == folder.resolve():
            raise UserError(
                f'Output folder {str(out)!r} is the folder of the input {str(source)!r}; choose another, so that nothing is taken for its '
                'own result.'
            )
        if not source.exists():
            raise UserError(f'Input {str(source)!r} does not exist; give {wanted}.', code='no-such-file')
        files += inside(source) if source.is_dir() else [source]
    taken, pairs = {}, [(file, out / name(file)) for file in files]
    for file, target in pairs:
        if target in taken:
            raise UserError(
                f'Inputs {str(taken[target])!r} and {str(file)!r} would both become {str(target)!r}; restore them into two folders.'
            )
        taken[target] = file
    there = [target for _, target in pairs if target.exists()]
    if there and not overwrite:
        raise UserError(
            f'{str(there[0])!r} exists already{f", and {len(there) - 1} more" if there[1:] else ""}; choose another folder, or say '
            '--overwrite.',
            code='file-exists',
        )
    return pairs


def restore_files(restorer, sources, out, tile=None, overlap=32, overwrite=False, progress=True):
    """Restores image files and folders into the folder ``out``; returns the files written. One that cannot be read does not stop the
    others. What ``choose_tile`` has to say is said once for each way of restoring, on stderr.

    Raises UserError for what ``plan`` refuses, and at the end where images could not be restored.
    """
    told = set()

    def one(file, target, bar):
        image = read_image(file)
        side, sentence = choose_tile(restorer, image.shape[:2], tile)
        if sentence and side not in told:
            told.add(side)
            bar.console.print(f'{file.name}: {sentence}', markup=False, highlight=False, soft_wrap=True)
        part = bar.add_task(file.name, total=len(tiles(image.shape[0], side, overlap)) * len(tiles(image.shape[1], side, overlap)))
        try:
            write_restored(target, restorer, image, side, overlap, lambda: bar.advance(part))
        finally:
            bar.remove_task(part)

    return restore_each(plan(sources, out, overwrite), 'images', one, progress)


def restore_each(pairs, noun, one, progress=True):
    """Calls ``one(file, file to write, progress bar)`` for each of ``pairs``; returns the files written. One that fails does not stop the
    others.

    Raises UserError at the end where any failed.
    """
    written, failed = [], []
    columns = TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        whole = bar.add_task(noun, total=len(pairs))
        for file, target in pairs:
            try:
                one(file, target, bar)
                written.append(target)
            except UserError as error:
                failed.append((file, error))
            bar.advance(whole)
    if failed:
        file, error = failed[0]
        raise UserError(
            f'{len(failed)} of {len(pairs)} {noun} could not be restored; {error if str(file) in str(error) else f"{str(file)!r}: {error}"}'
        )
    return written
