"""Text embeddings of class names: prompts, a CLIP text tower run once, and a file that says what it holds.

A cache is a matrix of unit rows, one a class, and belongs to one class list in one order, one CLIP and one set of templates; reading
verifies all of it. No network is reached: the tokenizer's vocabulary ships with open_clip, weights are the user's own file.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from mmseg.utils.get_templates import PREDEFINED_TEMPLATES
from torch.nn.functional import normalize

from .config import load_config
from .datasets.zero_shot import SPLITS
from .errors import UserError, choice, nearest
from .files import sha256, write_whole
from .networks import resolve_config

_SIZES = ('a', 'a small', 'a medium', 'a large')
#: Sets of sentences with ``{}`` for the class. ``single`` and ``multi15`` are ZegCLIP's for VOC and COCO-Stuff (Zhou et al., CVPR 2023);
#: ``vild`` (14) and ``imagenet`` (80) are mmseg's own lists, and
#: its ``vild`` is not ``multi15``.
TEMPLATES = dict(
    single=('a photo of a {}',),
    multi15=(
        *(f'a photo of {size} {{}}.' for size in _SIZES),
        *(f'This is a photo of {size} {{}}.' for size in _SIZES),
        *(
            f'{words} {{}} in the scene.'
            for words in ('a', 'a photo of a', 'There is a', 'There is the', 'This is a', 'This is the', 'This is one')
        ),
    ),
    vild=tuple(PREDEFINED_TEMPLATES['vild']),
    imagenet=tuple(PREDEFINED_TEMPLATES['imagenet']),
)

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


# -- prompts and the text tower --------------------------------------------------------------------------------------------
def template_set(templates):
    """The sentences of a set of ``TEMPLATES`` by its name, or of a sequence of them, as a tuple. Raises UserError for an unknown name or a
    sentence without ``{}``.
    """
    if isinstance(templates, str):
        return TEMPLATES[choice('Prompts', 'template set', templates, TEMPLATES)]
    templates = tuple(templates)
    wrong = next((t for t in templates if t.count('{}') != 1), None)
    if wrong is not None or not templates:
        raise UserError(
            f'Template {wrong!r} has no place for the class; write {{}} there, once.'
            if templates
            else 'The set of templates is empty; give one sentence at least.'
        )
    return templates


def prompts(name, templates='single'):
    """The sentences that name one class, in the order of ``templates`` (see ``template_set``)."""
    return [t.replace('{}', name) for t in template_set(templates)]


@torch.no_grad()
def encode_classes(model, classes, templates='single', names=None, tokenizer=None):
    """Embeddings ``[K, D]`` of class names, float32 on the CPU: each sentence's normalised, averaged over a class's sentences, normalised
    again.

    Args:
        model: an open_clip CLIP in eval mode (``encode_text``). names: ``{class: words}`` to say instead of a class's name. tokenizer:
            open_clip's own by default, as long as the model's context.

    Raises:
        UserError: for names of classes that are not there, and for a sentence longer than the context (which open_clip would cut off
            silently).
    """
    if tokenizer is None:
        from open_clip.tokenizer import SimpleTokenizer

        tokenizer = SimpleTokenizer(context_length=model.context_length)
    names = dict(names or {})
    unknown = next((c for c in names if c not in classes), None)
    if unknown is not None:
        raise UserError(f'Name override {unknown!r} is none of the {len(classes)} classes; {nearest(unknown, classes)}.')
    device, rows = next(model.parameters()).device, []
    for c in classes:
        said = prompts(names.get(c, c), templates)
        longest = max(len(tokenizer.encode(s)) for s in said)
        if longest + 2 > tokenizer.context_length:  # and a token at either end
            raise UserError(
                f'Class {names.get(c, c)[:60]!r} makes a sentence of {longest} tokens, but the CLIP reads {tokenizer.context_length - 2}; '
                'shorten its name.'
            )
        rows.append(normalize(normalize(model.encode_text(tokenizer(said).to(device)).float(), dim=-1).mean(0), dim=-1))
    return torch.stack(rows).cpu()


def clip_embeddings(clip, checkpoint, classes, templates='single', names=None, openai=None):
    """``TextEmbeddings`` of ``classes`` by the text tower of CLIP ``clip`` with the weights in file ``checkpoint``; see ``encode_classes``
    and ``vkd.models.clip.load_clip``. Raises UserError.
    """
    from .models.clip import load_clip

    said = ', '.join(f'{k}={v}' for k, v in (names or {}).items())
    label = templates if isinstance(templates, str) else ' | '.join(templates)
    rows = encode_classes(load_clip(clip, checkpoint, openai=openai), classes, templates, names)
    return TextEmbeddings(
        rows, classes, label, clip, sha256(checkpoint), source=f'text tower of {clip}' + (f', said as {said}' if said else '')
    )


def synthetic_embeddings(classes, width, seed=0):
    """``TextEmbeddings`` of seeded random unit rows ``[K, width]``: the machinery without weights, marked ``synthetic``. They hold no
    meaning: an unseen class cannot be found by them.
    """
    rows = torch.randn(len(classes), width, generator=torch.Generator().manual_seed(seed))
    return TextEmbeddings(normalize(rows, dim=-1), classes, 'none', 'synthetic', synthetic=True, source=f'random unit rows of seed {seed}')


def from_zegclip(npy_path, names, classes_of=None, templates=None):
    """``TextEmbeddings`` out of an array that ZegCLIP publishes (ViT-B/16 of OpenAI's CLIP, float16, rows of length 1 to 1e-3).

    Args:
        npy_path: ``voc12_single.npy`` (20 rows), ``coco_single.npy`` or ``coco_multi.npy`` (171). classes_of: the names of its rows in
            their order; by their number, VOC without background or COCO-Stuff, if None.
        names: the classes wanted; a sequence where they are rows themselves, else ``{class: row}``. ``{class: (row, row)}`` gives a class
            without a row the normalised mean of others; ``source`` records both.
        templates: the set it was made with; by the file's name ('multi' in it) if None.

    Raises UserError for another shape, rows of another length, or a row that does not exist.
    """
    path = str(npy_path)
    if not Path(path).is_file():
        raise UserError(f'Array {path!r} does not exist; fetch it from the repository ZiqinZhou66/ZegCLIP and give its path.')
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(
            f'Array {path!r} cannot be read ({type(error).__name__}); it must be a plain .npy file of numbers: fetch it again.'
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
        raise UserError(f'Text embeddings {path!r} do not exist; make them with tools/cache_text_embeddings.py.')
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
            i = next(i for i, (a, b) in enumerate(zip(emb.classes, wanted)) if a != b)
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
            raise UserError(
                f'Text embeddings {path!r} end in neither .safetensors nor .pt; give a file that tools/cache_text_embeddings.py wrote.'
            )
    except UserError:
        raise
    except Exception as error:  # a broken file makes the readers fail in every way
        raise UserError(
            f'Text embeddings {path!r} cannot be read ({type(error).__name__}); make the file again with tools/cache_text_embeddings.py.'
        ) from error
    if not isinstance(found, dict) or found.get('format') != FORMAT:
        raise UserError(f'{path!r} holds no text embeddings of this vkd ({FORMAT}); make them with tools/cache_text_embeddings.py.')
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
        raise UserError(
            f'Text embeddings {path!r} are incomplete ({error}); make the file again with tools/cache_text_embeddings.py.'
        ) from error
    if not intact:
        raise UserError(
            f'Text embeddings {path!r} do not match their own hash: the file was changed after it was written; make it again with '
            'tools/cache_text_embeddings.py.'
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
            and synthetic_text(load_config(resolve_config(file)).get('model'))
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
        i = next((i for i, (a, b) in enumerate(zip(named, classes)) if a != b), min(len(named), len(classes)))
        told = f'class {i} is {named[i] if i < len(named) else "none"!r} in the text and {classes[i] if i < len(classes) else "none"!r} in the data'
        raise UserError(
            f'The text embeddings of the head are of other classes than the data set ({type(dataset).__name__}), or in another order: '
            f'{told}; make them for its class list.'
        )
