"""Sentences that name a class, and what the text tower of a CLIP makes of them."""

import torch
from mmseg.utils.get_templates import PREDEFINED_TEMPLATES
from torch.nn.functional import normalize

from ..errors import UserError, choice, nearest

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
        model: an open_clip CLIP in eval mode (``encode_text``).
        names: ``{class: words}`` to say instead of a class's name.
        tokenizer: open_clip's own by default, as long as the model's context.

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
