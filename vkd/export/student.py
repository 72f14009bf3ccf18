"""The student alone: weights and a config for plain mmseg, an ONNX graph, and a page that says where they came from.

``export_config`` makes the config, ``export_onnx`` the graph, and ``export_verify`` compares the graph with its network.
"""

from datetime import datetime, timezone
from pathlib import Path

import torch

from ..build.built import quiet, scope
from ..build.checkpoint import load_into, resolve_checkpoint
from ..build.identity import fingerprint
from ..build.networks import build_model
from ..errors import UserError
from ..io.files import read_json, sha256, write_json, write_text, write_whole
from ..models.heads.clip_semantic import set_text
from ..models.restorers import Restorer
from ..runs.provenance import git_state, versions
from ..text.embeddings import load_text_embeddings, synthetic_text
from .config import dataset_meta, needed_modules, normalisation, plain_config, training_size
from .onnx import Logits, to_onnx
from .verify import TOLERANCE

__all__ = ['TOLERANCE', 'Logits', 'export', 'plain_config', 'to_onnx']


def export(cfg, checkpoint, out, onnx=False, shape=None, role='student', text=None, text_input=False):
    """Writes ``<name>_<role>.pth``, ``.py``, ``.json`` and, if asked, ``.onnx`` into the folder ``out``; returns the content of the json.

    Args:
        cfg: Config read from a file, of a Distiller (its student is exported) or of a plain model (that one is).
        checkpoint: a checkpoint that the run of ``cfg`` wrote.
        shape: ``(H, W)`` at which the ONNX graph is traced; the training size by default.
        role: 'student', or a peer that learnt beside it.
        text: a file of text embeddings: the classes that a network with a ``ClipSemanticHead`` gets in place of its own.
        text_input: its ONNX graph takes ``text`` (float32 ``[K, D]``, unit rows, any K) as a second input, in place of having the rows
            inside.

    The ``.pth`` loads strictly in plain mmseg with the ``.py``. The graph maps ``image`` (float32 ``[B, C, H, W]``, normalised as the json
    says) to ``logits``: of a segmentor ``[B, K, H, W]`` at the size of the image, else what the network gives; of a restorer to
    ``restored``, RGB in 0 to 1 like its image. It was run in onnxruntime and compared with torch, also at other batch and image sizes if
    it takes them; the json says which sizes it takes.

    Raises:
        UserError: for a checkpoint of another model, or a graph that cannot be made or differs by more than 1e-4 (of the largest logit, if
            above 1).
    """
    source = Path(resolve_checkpoint(checkpoint))
    config = plain_config(cfg, role)
    model, found = _network(cfg, config, checkpoint, role)
    meta = dict(dataset_meta=dataset_meta(cfg), vkd=versions()['vkd'], fingerprint=fingerprint(cfg))
    named = load_text_embeddings(text) if text else None
    if named:
        _take_classes(named, model, config)
        meta['dataset_meta'] = dict(classes=list(named.classes))
    # the graph is the part that may fail: it is made before anything is written
    graph, facts = to_onnx(model, shape or training_size(cfg), getattr(model, 'channels', 3), text_input) if onnx else (None, None)
    name = f'{_stem(cfg)}_{role}'
    files = _write(Path(out), name, role, cfg, config, model, meta, graph)
    content = dict(
        format=1,
        name=name,
        role=role,
        date=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        config=str(cfg.filename),
        fingerprint=fingerprint(cfg),
        checkpoint=str(checkpoint),
        checkpoint_sha256=sha256(source),
        files=files,
        model=type(model).__name__,
        parameters=sum(p.numel() for p in model.parameters()),
        matched=found['matched'],
        tensors=found['total'],
        classes=meta['dataset_meta'].get('classes'),
        input=model.metainfo if isinstance(model, Restorer) else normalisation(config.model.get('data_preprocessor') or {}),
        onnx=facts,
        needs_vkd='vkd' in needed_modules(config),
        needs_modules=[module for module in needed_modules(config) if module != 'vkd'],
        synthetic_text=named.synthetic if named else synthetic_text(cfg.model),
        metrics=_metrics(source.parent),
        git=git_state(),
        versions=versions(),
    )
    write_json(Path(out) / f'{name}.json', content)
    return content


def _network(cfg, config, checkpoint, role):
    """``(model, report of its loading)``: the network of ``role`` with the weights of ``checkpoint``, in eval mode. Raises UserError for
    weights that it has no place for.
    """
    with quiet(), scope(cfg):
        model = build_model(config.model)
    found = load_into(model, checkpoint, role, prefix=None if role == 'student' else f'{role}.')
    if found['unexpected']:
        raise UserError(
            f'Checkpoint {str(checkpoint)!r} holds {len(found["unexpected"])} tensors that the {role} ({type(model).__name__}) of '
            f'{cfg.filename!r} lacks, '
            f'for example {found["unexpected"][0]!r}; give the config that wrote it.'
        )
    return model.eval(), found


def _take_classes(named, model, config):
    """Gives ``model`` and its plain ``config`` the classes of text embeddings in place of their own."""
    set_text(model, named)
    config.model.decode_head.num_classes, config.model.decode_head.unseen = len(named.classes), ()
    for key in ('test_dataloader', 'test_cfg', 'test_evaluator'):  # its labels are of other classes
        config.pop(key, None)


def _stem(cfg):
    """What an export of ``cfg`` is named for: its file, or the folder of a run's own ``config.py``."""
    stem = Path(cfg.filename or 'model').stem
    return Path(cfg.filename).resolve().parent.name if stem == 'config' else stem


def _write(out, name, role, cfg, config, model, meta, graph):
    """Writes weights, config and, where there is one, graph into the folder ``out``; returns ``{file name: sha256}``."""
    write_whole(out / f'{name}.pth', lambda file: torch.save(dict(state_dict=model.state_dict(), meta=meta), file))
    left_out = [f'# {key} is left out: its dataset is part of vkd.\n' for key in ('test_dataloader',) if cfg.get(key) and key not in config]
    write_text(
        out / f'{name}.py',
        f'# The {role} of {Path(cfg.filename or "model").stem}, for '
        f'{"vkd restore" if isinstance(model, Restorer) else "plain mmseg"}; {name}.json says where it '
        f'came from.\n{"".join(left_out)}{config.pretty_text}',
    )
    if graph is not None:
        write_whole(out / f'{name}.onnx', lambda file: file.write(graph))
    return {name + suffix: sha256(out / (name + suffix)) for suffix in ('.pth', '.py', *(['.onnx'] if graph is not None else []))}


def _metrics(folder):
    """The scores of the run that wrote into ``folder``, or whose folder that is in; None where there are none."""
    return next((m for m in (read_json(f / 'metrics.json') for f in (folder, folder.parent)) if m), None)
