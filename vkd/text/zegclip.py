"""Text embeddings out of the arrays that ZegCLIP publishes."""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from ..errors import UserError, nearest
from ..io.files import sha256
from .embeddings import TextEmbeddings
from .zero_shot import SPLITS

#: Rows of COCO-Stuff that stand for CamVid's classes. There is none for Pole: the mean of two things that are a pole with something on it
#: stands in, which is less like the other rows than, say, the mean of metal and railing.
CAMVID_ROWS = dict(
    Sky='sky-other',
    Building='building-other',
    Pole=('parking meter', 'traffic light'),
    Road='road',
    Pavement='pavement',
    Tree='tree',
    SignSymbol='stop sign',
    Fence='fence',
    Car='car',
    Pedestrian='person',
    Bicyclist='bicycle',
)


def from_zegclip(npy_path, names, classes_of=None, templates=None):
    """``TextEmbeddings`` out of an array that ZegCLIP publishes (ViT-B/16 of OpenAI's CLIP, float16, rows of length 1 to 1e-3).

    Args:
        npy_path: ``voc12_single.npy`` (20 rows), ``coco_single.npy`` or ``coco_multi.npy`` (171).
        classes_of: the names of its rows in their order; by their number, VOC without background or COCO-Stuff, if None.
        names: the classes wanted; a sequence where they are rows themselves, else ``{class: row}``. ``{class: (row, row)}`` gives a class
            without a row the normalised mean of others; ``source`` records both.
        templates: the set it was made with; by the file's name ('multi' in it) if None.

    Raises UserError for another shape, rows of another length, or a row that does not exist.
    """
    path = str(npy_path)
    if not Path(path).is_file():
        raise UserError(
            f'Array {path!r} does not exist; fetch it from the repository ZiqinZhou66/ZegCLIP and give its path.', code='no-such-file'
        )
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(
            f'Array {path!r} cannot be read ({type(error).__name__}); it must be a plain .npy file of numbers: fetch it again.',
            code='broken-file',
        ) from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind != 'f':
        found = f'{array.dtype} of shape {array.shape}' if isinstance(array, np.ndarray) else 'an archive of several arrays'
        raise UserError(f'Array {path!r} is {found}, not numbers of shape [classes, width]; give an array of text embeddings.')
    known = {len(s['classes']): s['classes'] for s in (SPLITS['voc20'], SPLITS['coco-stuff'])}
    order = list(classes_of or known.get(len(array), ()))
    if len(order) != len(array):
        raise UserError(
            f'Array {path!r} has {len(array)} rows, which are not '
            f'{f"the {len(order)} classes given" if order else "the 20 classes of VOC nor the 171 of COCO-Stuff"}; give an array with one '
            'row a class.'
        )
    rows = torch.from_numpy(array.astype(np.float32))
    length = rows.norm(dim=1)
    if not bool(((length - 1).abs() <= 1e-3).all()):
        i = int((length - 1).abs().nan_to_num(torch.inf).argmax())
        raise UserError(
            f'Array {path!r}: row {i} ({order[i]}) has length {float(length[i]):.4g}, not 1 to 1e-3; this is no array of text embeddings.'
        )
    rows, out, said = normalize(rows, dim=-1), [], []
    for name, wanted in names.items() if isinstance(names, dict) else ((n, n) for n in names):
        wanted = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        missing = next((w for w in wanted if w not in order), None)
        if missing is not None or not wanted:
            raise UserError(
                f'Class {name!r} asks for row {missing!r} of {path!r}, which is not there; {nearest(missing, order)}, or name rows whose '
                'mean stands in for it.'
            )
        out.append(normalize(rows[[order.index(w) for w in wanted]].mean(0), dim=-1))
        said += (
            [f'{name}={wanted[0]}']
            if len(wanted) == 1 and wanted[0] != name
            else [f'{name}=mean of {" and ".join(wanted)}']
            if len(wanted) > 1
            else []
        )
    source = f'ZegCLIP {Path(path).name} (sha256 {sha256(path)[:12]})' + (f', {", ".join(said)}' if said else '')
    return TextEmbeddings(
        torch.stack(out),
        tuple(names),
        templates or ('multi15' if 'multi' in Path(path).stem else 'single'),
        'ViT-B-16-quickgelu',
        source=source,
    )
