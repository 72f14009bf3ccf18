"""Text embeddings of class names, and the file that says what it holds.

A cache is a matrix of unit rows, one a class, and belongs to one class list in one order, one CLIP and one set of templates; reading
verifies all of it. No network is reached: the tokenizer's vocabulary ships with open_clip, weights are the user's own file.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.nn.functional import normalize

from ..build.config import load_config
from ..errors import UserError
from ..io.files import write_whole

FORMAT = 'vkd.text_embeddings.1'
_UNIT = 1e-4  # how far a float32 row's length may lie from 1


@dataclass(frozen=True, eq=False)
class TextEmbeddings:
    """One unit row a class. Raises UserError where rows and classes do not fit together.

    Attributes:
        embeddings: ``[K, D]`` float32 on the CPU, rows of length 1.
        classes: K names, in the order of the data set's class ids.
        templates: name of the template set, or the sentences themselves joined by ' | '.
        clip: open_clip name of the CLIP whose text tower made them; 'synthetic' where none did.
        checkpoint_sha256: of its weights; '' where that is not known.
        synthetic: whether the rows are random, so that unseen classes cannot be told by them; whatever they touch has to say so.
        source: a sentence on where the rows come from.
    """

    embeddings: torch.Tensor
    classes: tuple
    templates: str
    clip: str
    checkpoint_sha256: str = ''
    synthetic: bool = False
    source: str = ''

    def __post_init__(self):
        object.__setattr__(self, 'classes', tuple(self.classes))
        e, k = self.embeddings, len(self.classes)
        if not isinstance(e, torch.Tensor) or e.ndim != 2 or e.dtype != torch.float32 or not e.shape[1]:
            found = f'{str(e.dtype).removeprefix("torch.")} of shape {tuple(e.shape)}' if isinstance(e, torch.Tensor) else type(e).__name__
            raise UserError(f'Text embeddings are {found}; they must be float32 of shape [classes, width].')
        if not k or len(e) != k:
            raise UserError(f'Text embeddings have {len(e)} rows for {k} classes; give one row a class.')
        twice = next((c for i, c in enumerate(self.classes) if c in self.classes[:i]), None)
        if twice is not None:
            raise UserError(f'Text embeddings name class {twice!r} twice; name each class once.')
        length = e.norm(dim=1)
        wrong = ((length - 1).abs() <= _UNIT).logical_not().nonzero()  # NaN is wrong too
        if len(wrong):
            i = int(wrong[0])
            raise UserError(
                f'Text embedding of {self.classes[i]!r} has length {float(length[i]):.4g}; every row must have length 1: divide it by its '
                'norm.'
            )


def synthetic_embeddings(classes, width, seed=0):
    """``TextEmbeddings`` of seeded random unit rows ``[K, width]``: the machinery without weights, marked ``synthetic``. They hold no
    meaning: an unseen class cannot be found by them.
    """
    rows = torch.randn(len(classes), width, generator=torch.Generator().manual_seed(seed))
    return TextEmbeddings(normalize(rows, dim=-1), classes, 'none', 'synthetic', synthetic=True, source=f'random unit rows of seed {seed}')


# -- files -----------------------------------------------------------------------------------------------------------------
def _digest(emb):
    """sha256 of all that a cache holds. It finds a damaged or edited file, not a forged one: whoever edits can write a new hash."""
    head = json.dumps([emb.classes, emb.templates, emb.clip, emb.checkpoint_sha256, emb.synthetic, emb.source, list(emb.embeddings.shape)])
    return hashlib.sha256(head.encode() + emb.embeddings.contiguous().numpy().tobytes()).hexdigest()


def save_text_embeddings(path, emb):
    """Writes ``emb`` whole or not at all: ``.safetensors`` (all but the tensor as metadata strings) or ``.pt`` (a dict of a tensor and
    plain values). Raises UserError for another ending.
    """
    path = Path(path)
    emb = replace(emb, embeddings=emb.embeddings.detach().cpu().contiguous())
    facts = dict(
        format=FORMAT, templates=emb.templates, clip=emb.clip, checkpoint_sha256=emb.checkpoint_sha256, source=emb.source, hash=_digest(emb)
    )
    if path.suffix == '.safetensors':
        from safetensors.torch import save

        content = save(dict(embeddings=emb.embeddings), dict(facts, classes=json.dumps(emb.classes), synthetic=json.dumps(emb.synthetic)))
        write_whole(path, lambda file: file.write(content))
    elif path.suffix == '.pt':
        write_whole(
            path, lambda file: torch.save(dict(facts, embeddings=emb.embeddings, classes=list(emb.classes), synthetic=emb.synthetic), file)
        )
    else:
        raise UserError(f'Text embeddings {str(path)!r} end in neither .safetensors nor .pt; choose one of these endings.')


def load_text_embeddings(path, classes=None, clip=None, width=None):
    """Reads a cache back as ``TextEmbeddings``, verified: its hash, unit rows, and, where given, class list and order, CLIP name and width
    D. A synthetic cache belongs to no CLIP and passes for any.

    Raises UserError, one sentence that says what differs.
    """
    path = str(path)
    if not Path(path).is_file():
        raise UserError(f'Text embeddings {path!r} do not exist; make them with vkd cache-text.')
    emb = _read(path)
    if clip is not None and not emb.synthetic and emb.clip != clip:
        raise UserError(
            f'Text embeddings {path!r} are of CLIP {emb.clip!r}, but the model uses {clip!r}: their spaces differ; make them with --clip '
            f'{clip}.'
        )
    if width is not None and emb.embeddings.shape[1] != width:
        raise UserError(
            f'Text embeddings {path!r} are {emb.embeddings.shape[1]} wide, but the model\'s are {width} wide; make them with the same CLIP '
            f'(for synthetic ones, --width {width}).'
        )
    if classes is not None and emb.classes != tuple(classes):
        wanted = tuple(classes)
        if set(emb.classes) == set(wanted) and len(emb.classes) == len(wanted):
            i = next(i for i, (a, b) in enumerate(zip(emb.classes, wanted, strict=False)) if a != b)
            told = f'have the classes in another order (row {i} is {emb.classes[i]!r}, class {i} of the data is {wanted[i]!r})'
        else:
            lack, more = [c for c in wanted if c not in emb.classes], [c for c in emb.classes if c not in wanted]
            told = f'are of {len(emb.classes)} other classes than the {len(wanted)} of the data' + (
                f' ({lack[0]!r} has no row)' if lack else f' ({more[0]!r} is none of them)' if more else ''
            )
        raise UserError(f'Text embeddings {path!r} {told}; make them for this class list.')
    return emb


def _read(path):
    suffix = Path(path).suffix
    try:
        if suffix == '.safetensors':
            from safetensors import safe_open

            with safe_open(path, 'pt') as file:
                found = dict(file.metadata() or {})
                if found.get('format') == FORMAT:
                    found.update(
                        embeddings=file.get_tensor('embeddings'),
                        classes=json.loads(found['classes']),
                        synthetic=json.loads(found['synthetic']),
                    )
        elif suffix == '.pt':
            found = torch.load(path, map_location='cpu', weights_only=True)
        else:
            raise UserError(f'Text embeddings {path!r} end in neither .safetensors nor .pt; give a file that vkd cache-text wrote.')
    except UserError:
        raise
    except Exception as error:  # a broken file makes the readers fail in every way
        raise UserError(
            f'Text embeddings {path!r} cannot be read ({type(error).__name__}); make the file again with vkd cache-text.',
            code='broken-file',
        ) from error
    if not isinstance(found, dict) or found.get('format') != FORMAT:
        raise UserError(f'{path!r} holds no text embeddings of this vkd ({FORMAT}); make them with vkd cache-text.')
    try:
        emb = TextEmbeddings(
            found['embeddings'],
            found['classes'],
            found['templates'],
            found['clip'],
            found['checkpoint_sha256'],
            found['synthetic'],
            found['source'],
        )
        intact = _digest(emb) == found['hash']
    except UserError as error:
        raise UserError(f'{path!r}: {error}') from error
    except (KeyError, TypeError) as error:
        raise UserError(f'Text embeddings {path!r} are incomplete ({error}); make the file again with vkd cache-text.') from error
    if not intact:
        raise UserError(
            f'Text embeddings {path!r} do not match their own hash: the file was changed after it was written; make it again with '
            'vkd cache-text.'
        )
    return emb


def synthetic_text(content):
    """Whether a model config names, as ``text_embeddings`` at any depth or in a ``cfg`` file that it names, a file of synthetic rows.

    A file that cannot be read counts as none: building the model says what is wrong with it.
    """
    if isinstance(content, (list, tuple)):
        return any(map(synthetic_text, content))
    if not isinstance(content, dict):
        return False
    path, file = content.get('text_embeddings'), content.get('cfg')
    try:
        if (
            isinstance(path, str)
            and load_text_embeddings(path).synthetic
            or isinstance(file, str)
            and synthetic_text(load_config(file).get('model'))
        ):
            return True
    except UserError:
        return False
    return any(map(synthetic_text, content.values()))


def check_text(network, dataset):
    """Raises UserError where a network's classes are named by text of other classes, or in another order, than those of ``dataset``."""
    named, classes = (
        getattr(getattr(network, 'decode_head', None), 'classes', None),
        (getattr(dataset, 'metainfo', None) or {}).get('classes'),
    )
    if named and classes and tuple(named) != tuple(classes):
        i = next((i for i, (a, b) in enumerate(zip(named, classes, strict=False)) if a != b), min(len(named), len(classes)))
        told = f'class {i} is {named[i] if i < len(named) else "none"!r} in the text and {classes[i] if i < len(classes) else "none"!r} in the data'
        raise UserError(
            f'The text embeddings of the head are of other classes than the data set ({type(dataset).__name__}), or in another order: '
            f'{told}; make them for its class list.'
        )
