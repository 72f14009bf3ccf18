"""open_clip models with weights of the user's own file, and the ways in which such files go wrong."""

import logging
import os
import warnings
import zipfile

import torch

from ..build.checkpoint import load_weights, resolve_checkpoint
from ..errors import UserError, nearest
from ..io.files import sha256
from ..text.embeddings import TextEmbeddings
from ..text.prompts import encode_classes

#: buffers that only the archives of the OpenAI release hold
OPENAI_BUFFERS = ('input_resolution', 'context_length', 'vocab_size')


def load_clip(name, checkpoint=None, random=False, openai=None):
    """The open_clip model ``name`` in float32 and eval mode on the CPU, with every tensor out of ``checkpoint``; nothing is downloaded.

    Args:
        name: as ``open_clip.list_models()`` has it, such as 'ViT-B-16-quickgelu'.
        checkpoint: a state dict in ``.safetensors`` or ``.pt`` (read with ``weights_only=True``).
        random: build it without weights, from torch's generator; for tests.
        openai: whether these are OpenAI's weights, which were trained with QuickGELU; None looks for marks (see ``openai_mark``).

    Raises:
        UserError: for an unknown name, one whose text tower needs a hub, a missing checkpoint, a TorchScript archive, tensors that are
            missing or of another shape, and for OpenAI's weights under a name with exact GELU: they would load without an error and give
            other features.
    """
    import open_clip

    if name not in open_clip.list_models():
        raise UserError(f'CLIP {name!r} is unknown to open_clip; {nearest(name, open_clip.list_models())}.')
    config = open_clip.get_model_config(name)
    if {'hf_model_name', 'hf_tokenizer_name'} & set(config['text_cfg']):
        raise UserError(
            f'CLIP {name!r} has a text tower or tokenizer that is fetched from a hub; choose one of open_clip\'s own, such as '
            'ViT-B-16-quickgelu.'
        )
    if checkpoint is None and not random:
        raise UserError(f'CLIP {name!r} has no checkpoint; give the path of its weights (random=True builds it without, for tests).')
    if checkpoint is not None and random:
        raise UserError(f'CLIP {name!r} has a checkpoint and random=True; give one of the two.')
    state = None
    if checkpoint is not None:
        state, mark = _clip_state(checkpoint)
        mark = 'openai=True was given' if openai else mark if openai is None else None
        if mark and not config.get('quick_gelu'):
            better = f'{name}-quickgelu'
            raise UserError(
                f'CLIP {name!r} has exact GELU, but {str(checkpoint)!r} holds weights of OpenAI ({mark}), which were trained with '
                'QuickGELU: they would load and give wrong features; '
                f'use {better if better in open_clip.list_models() else "a -quickgelu model"}.'
            )
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # open_clip warns that the weights are random, which they are but for a moment
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            model = open_clip.create_model(name, pretrained=None, precision='fp32', pretrained_image=False)
    finally:
        logging.disable(level)
    if state is not None:
        own = model.state_dict()
        wrong = [k for k in own if k not in state or state[k].shape != own[k].shape]
        if wrong:
            found = f'shape {tuple(state[wrong[0]].shape)} for {tuple(own[wrong[0]].shape)}' if wrong[0] in state else 'no such key'
            raise UserError(
                f'Checkpoint {str(checkpoint)!r} fits {len(own) - len(wrong)} of {len(own)} tensors of CLIP {name!r}, for example not '
                f'{wrong[0]!r}: {found}; give the weights of this very model.'
            )
        model.load_state_dict({k: state[k] for k in own})
    return model.float().eval()


def openai_mark(state, metadata=None, path=''):
    """What shows that a state dict holds OpenAI's weights, in words; None where nothing does.

    Certain marks: what ``vkd convert clip`` wrote, and the buffers of the released archives (``input_resolution`` and two more),
    which ``torch.jit.load(…).state_dict()`` keeps. A hint: half-precision attention beside float32 norms, as OpenAI's code keeps them, or
    'openai' in the file's name. The limit: a copy in one precision, without these buffers and renamed, cannot be told from other weights of
    the same shapes; then only the one who loads it can say (``openai=True``). A wrong hint is overruled by ``openai=False``.
    """
    if (metadata or {}).get('clip_weights') == 'openai':
        return 'the converter marked it so'
    if set(OPENAI_BUFFERS) <= set(state):
        return f'it has their buffer {OPENAI_BUFFERS[0]!r}'
    kinds = {kind: {v.dtype for k, v in state.items() if k.endswith(kind)} for kind in ('attn.in_proj_weight', 'ln_1.weight')}
    if kinds['attn.in_proj_weight'] == {torch.float16} and kinds['ln_1.weight'] == {torch.float32}:
        return 'its precisions are mixed as theirs; openai=False overrules it'
    if 'openai' in os.path.basename(path).lower():
        return "its name holds 'openai'; openai=False overrules it"
    return None


def is_torchscript(path):
    """Whether a file is a TorchScript archive (a zip with code inside) rather than a pickle of tensors; reads names only."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any('/code/' in n for n in archive.namelist())


def _clip_state(checkpoint):
    """``(state dict, mark of OpenAI or None)``."""
    path, metadata = resolve_checkpoint(checkpoint), None
    if is_torchscript(path):
        raise UserError(
            f'Checkpoint {str(checkpoint)!r} is a TorchScript archive, as OpenAI releases them, and reading it would run the code inside; '
            'convert it once, where you trust it: vkd convert clip SOURCE TARGET.safetensors --run-archive-code.'
        )
    state = load_weights(path)
    if path.endswith('.safetensors'):
        from safetensors import safe_open

        with safe_open(path, 'pt') as file:
            metadata = file.metadata()
    if all(k.startswith('module.') for k in state):
        state = {k.removeprefix('module.'): v for k, v in state.items()}
    return state, openai_mark(state, metadata, path)


def convert_archive(source, target):
    """Turns an official TorchScript archive of OpenAI's CLIP into a plain state dict in ``.safetensors``, marked as OpenAI's, its
    precisions kept; returns the number of tensors.

    ``torch.jit.load`` runs code that the archive brings: only for files that you trust.

    Raises UserError for a file that is no such archive, or not of the official layout.
    """
    from safetensors.torch import save

    from ..io.files import sha256, write_whole

    if not str(target).endswith('.safetensors'):
        raise UserError(f'Target {str(target)!r} does not end in .safetensors; give it that ending.')
    path = resolve_checkpoint(source)
    if not is_torchscript(path):
        raise UserError(f'{str(source)!r} is no TorchScript archive; a plain state dict needs no conversion.')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            state = dict(torch.jit.load(path, map_location='cpu').state_dict())
    except RuntimeError as error:
        raise UserError(
            f'{str(source)!r} cannot be read as a TorchScript archive ({str(error).strip().splitlines()[-1][:160]}); fetch it again.'
        ) from error
    missing = [k for k in (*OPENAI_BUFFERS, 'text_projection', 'logit_scale') if k not in state]
    if missing:
        raise UserError(
            f'{str(source)!r} is not of the layout of OpenAI\'s CLIP: it has no {missing[0]!r}; give an official archive such as '
            'ViT-B-16.pt.'
        )
    tensors = {k: v.detach().clone().contiguous() for k, v in state.items() if k not in OPENAI_BUFFERS}
    content = save(tensors, dict(clip_weights='openai', quick_gelu='true', source_sha256=sha256(path)))
    write_whole(target, lambda file: file.write(content))
    return len(tensors)


def clip_embeddings(clip, checkpoint, classes, templates='single', names=None, openai=None):
    """``TextEmbeddings`` of ``classes`` by the text tower of CLIP ``clip`` with the weights in file ``checkpoint``; see ``encode_classes``
    and ``load_clip``. Raises UserError.
    """
    said = ', '.join(f'{k}={v}' for k, v in (names or {}).items())
    label = templates if isinstance(templates, str) else ' | '.join(templates)
    rows = encode_classes(load_clip(clip, checkpoint, openai=openai), classes, templates, names)
    return TextEmbeddings(
        rows, classes, label, clip, sha256(checkpoint), source=f'text tower of {clip}' + (f', said as {said}' if said else '')
    )
