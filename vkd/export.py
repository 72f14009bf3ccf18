"""The student alone: weights and a config for plain mmseg, an ONNX graph, and a page that says where they came from."""

import copy
import io
import logging
import warnings
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.models.segmentors import BaseSegmentor
from torch import nn

from .checkpoint import load_into, resolve_checkpoint
from .config import load_config, plain, teachers_of, type_name
from .identity import fingerprint
from .errors import UserError, nearest
from .files import read_json, sha256, write_json, write_text, write_whole
from .models.clip_embedding import ClipEmbedding
from .models.heads.clip_semantic import ClipSemanticHead, set_text
from .models.restorers import Restorer
from .networks import build_model, forward_features, resolve_config, split_role
from .building import input_size, quiet, scope
from .provenance import git_state, versions
from .registry import DATASETS, MODELS, TRANSFORMS
from .text import load_text_embeddings, synthetic_text

TOLERANCE = 1e-4


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
    ``restored``, RGB in 0 to 1 like its image. It was compared with torch in onnxruntime, at other batch sizes and image sizes too where it
    claims to take them; the json says which it takes.

    Raises:
        UserError: for a checkpoint of another model, or a graph that cannot be made or differs by more than 1e-4 (of the largest logit, if
            above 1).
    """
    source = Path(resolve_checkpoint(checkpoint))
    config = plain_config(cfg, role)
    with quiet(), scope(cfg):
        model = build_model(config.model)
    found = load_into(model, checkpoint, role, prefix=None if role == 'student' else f'{role}.')
    if found['unexpected']:
        raise UserError(
            f'Checkpoint {str(checkpoint)!r} holds {len(found["unexpected"])} tensors that the {role} ({type(model).__name__}) of '
            f'{cfg.filename!r} lacks, '
            f'for example {found["unexpected"][0]!r}; give the config that wrote it.'
        )
    model.eval()
    meta = dict(dataset_meta=_dataset_meta(cfg), vkd=versions()['vkd'], fingerprint=fingerprint(cfg))
    if text:
        named = load_text_embeddings(text)
        set_text(model, named)
        config.model.decode_head.num_classes, config.model.decode_head.unseen = len(named.classes), ()
        meta['dataset_meta'] = dict(classes=list(named.classes))
        for key in ('test_dataloader', 'test_cfg', 'test_evaluator'):  # its labels are of other classes
            config.pop(key, None)
    stem = Path(cfg.filename or 'model').stem
    name = f'{Path(cfg.filename).resolve().parent.name if stem == "config" else stem}_{role}'  # a run folder's own config.py
    out, files = Path(out), {}
    # the graph is the part that may fail: it is made before anything is written
    graph, facts = to_onnx(model, shape or _size(cfg), getattr(model, 'channels', 3), text_input) if onnx else (None, None)
    write_whole(out / f'{name}.pth', lambda file: torch.save(dict(state_dict=model.state_dict(), meta=meta), file))
    left_out = [f'# {key} is left out: its dataset is part of vkd.\n' for key in ('test_dataloader',) if cfg.get(key) and key not in config]
    write_text(
        out / f'{name}.py',
        f'# The {role} of {stem}, for {"tools/restore.py" if isinstance(model, Restorer) else "plain mmseg"}; {name}.json says where it '
        f'came from.\n{"".join(left_out)}{config.pretty_text}',
    )
    if onnx:
        write_whole(out / f'{name}.onnx', lambda file: file.write(graph))
    for suffix in ('.pth', '.py', *(['.onnx'] if onnx else [])):
        files[name + suffix] = sha256(out / (name + suffix))
    metrics = next((m for m in (read_json(folder / 'metrics.json') for folder in (source.parent, source.parent.parent)) if m), None)
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
        input=model.metainfo if isinstance(model, Restorer) else _normalisation(config.model.get('data_preprocessor') or {}),
        onnx=facts,
        needs_vkd='vkd' in _needed(config),
        needs_modules=[name for name in _needed(config) if name != 'vkd'],
        synthetic_text=named.synthetic if text else synthetic_text(cfg.model),
        metrics=metrics,
        git=git_state(),
        versions=versions(),
    )
    write_json(out / f'{name}.json', content)
    return content


# -- the config ------------------------------------------------------------------------------------------------------------
def plain_config(cfg, role='student'):
    """A Config that plain mmseg reads: the network of ``role`` as ``model``, ``test_pipeline``, and, where the dataset is not vkd's own,
    ``test_dataloader``.

    Weights that were to be fetched at the start of training are not asked for. Parts of vkd are replaced by the mm parts that they build
    on; where the model itself needs vkd, ``custom_imports`` says so.
    """
    model, source = cfg.model, None
    if type_name(model) == 'Distiller':
        outer = model
        source = _source(outer, role)
        model, view = _network(outer, role, cfg.filename), None
        if role != 'student':
            view = split_role(_peers(outer)[role], role)[1].get('view')
            if view and (not isinstance(view, dict) or view.get('size')):
                raise UserError(
                    f'{role}: it saw the view {view!r}, which no data preprocessor of mmseg makes; export the student, or train this peer '
                    'on the student\'s images.'
                )
        seen = outer.get('data_preprocessor') or _network(outer, 'student', cfg.filename).get('data_preprocessor')
        if seen:
            model.data_preprocessor = _seen_through(seen, view or {})
    elif role != 'student':
        raise UserError(f'Config {cfg.filename!r} has a plain model without roles; leave out --role {role}.')
    out = dict(default_scope=cfg.get('default_scope') or 'mmseg', model=_without_fetching(_unscoped(model, 'mmseg.')))
    data = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if data and not str(model.get('type')).endswith('Restorer'):  # mm has no pipeline for images to images
        pipeline = [_mm_transform(cfg, step, i) for i, step in enumerate(data.dataset.get('pipeline') or [])]
        out['test_pipeline'] = [step for step in pipeline if not issubclass(_class(cfg, TRANSFORMS, step['type']), LoadAnnotations)]
        if not _class(cfg, DATASETS, data.dataset.type).__module__.startswith('vkd'):
            loader = _unscoped(data, 'mmseg.')
            loader['dataset']['pipeline'] = pipeline
            out.update(test_dataloader=loader, test_cfg=dict(type='TestLoop'), test_evaluator=dict(type='IoUMetric', iou_metrics=['mIoU']))
    modules = [
        *_imports(cfg),
        *(_imports(load_config(resolve_config(source))) if source else []),
        *(['vkd'] if 'vkd.' in str(_types(out)) else []),
    ]
    if modules:
        out['custom_imports'] = dict(imports=list(dict.fromkeys(modules)), allow_failed_imports=False)
    return Config(out)


def _imports(cfg):
    """Modules other than vkd that a config imports."""
    found = (cfg.get('custom_imports') or {}).get('imports') or []
    return [name for name in ([found] if isinstance(found, str) else found) if name.split('.')[0] != 'vkd']


def _needed(config):
    return (config.get('custom_imports') or {}).get('imports') or []


def _seen_through(preprocessor, view):
    """The student's ``preprocessor`` with the normalisation and the channel order of a peer's ``view``."""
    out = dict(preprocessor, **{k: view[k] for k in ('mean', 'std') if view.get(k) is not None})
    if view.get('rgb') is not None:
        out.update(bgr_to_rgb=bool(view['rgb']), rgb_to_bgr=False)
    return out


def _peers(distiller):
    """``{name: role config}`` of the teachers that learn."""
    return {name: own for name, own in teachers_of(distiller).items() if own.get('trainable')}


def _network(distiller, role, filename):
    """The model dict of a role of a Distiller's config. Raises UserError for a role that does not learn."""
    learners = {'student': distiller.student, **_peers(distiller)}
    if role not in learners:
        raise UserError(f'Config {filename!r} has no role {role!r} that learns; {nearest(role, learners)}.')
    model, _ = split_role(learners[role], role)
    if isinstance(model, str):
        model = load_config(resolve_config(model)).model
    return ConfigDict(copy.deepcopy(dict(model)))


def _source(distiller, role):
    """The config file that a role's network comes from; None of an inline one."""
    model, _ = split_role(dict(_peers(distiller), student=distiller.student).get(role, {'type': role}), role)
    return model if isinstance(model, str) else None


def _types(value):
    """All values of ``type`` keys below ``value``."""
    if isinstance(value, dict):
        return [str(v) for k, v in value.items() if k == 'type'] + [t for v in value.values() for t in _types(v)]
    return [t for v in value for t in _types(v)] if isinstance(value, (list, tuple)) else []


def _unscoped(value, prefix):
    """Plain dicts and lists, with ``prefix`` cut off the ``type`` of each part."""
    if isinstance(value, dict):
        return {k: v.removeprefix(prefix) if k == 'type' and isinstance(v, str) else _unscoped(v, prefix) for k, v in value.items()}
    return type(value)(_unscoped(v, prefix) for v in value) if isinstance(value, (list, tuple)) else value


def _without_fetching(value):
    """Parts of a model without the files that they started from: a part that knows which those are says so by ``without_files``."""
    if isinstance(value, dict):
        own = MODELS.get(value['type']) if str(value.get('type')).startswith('vkd.') else None
        value = own.without_files(value) if hasattr(own, 'without_files') else value
        kept = {
            k: _without_fetching(v)
            for k, v in value.items()
            if not (k == 'init_cfg' and isinstance(v, dict) and v.get('type') == 'Pretrained')
        }
        return {k: (False if isinstance(v, bool) else None) if k == 'pretrained' else v for k, v in kept.items()}
    return type(value)(_without_fetching(v) for v in value) if isinstance(value, (list, tuple)) else value


def _class(cfg, registry, kind):
    """The class that ``kind`` names in the scope of ``cfg``. Raises UserError."""
    if isinstance(kind, type):
        return kind
    with scope(cfg), registry.switch_scope_and_registry(None) as own:
        found = own.get(kind)
    if found is None:
        raise UserError(f'{kind!r} is not registered in {registry.name}; import what defines it by custom_imports.')
    return found


def _mm_transform(cfg, step, position):
    """A step of a pipeline without vkd: the mm transform that one of vkd derives from; a source of drawn images gives way to files."""
    step = _unscoped(step, 'mmseg.')
    own = _class(cfg, TRANSFORMS, step['type'])
    if not own.__module__.startswith('vkd'):
        return step
    base = next((c for c in own.__mro__ if c.__module__.startswith(('mmseg.', 'mmcv.transforms')) and c.__name__ != 'BaseTransform'), None)
    if base is not None:
        return {**step, 'type': base.__name__}
    return dict(type='LoadImageFromFile') if position == 0 else step


def _dataset_meta(cfg):
    """Classes and palette as plain lists; empty where the config names no dataset that has them."""
    for key in ('test_dataloader', 'val_dataloader', 'train_dataloader'):
        dataset = (cfg.get(key) or {}).get('dataset')
        if dataset and dataset.get('type'):
            meta = {**(getattr(_class(cfg, DATASETS, dataset['type']), 'METAINFO', None) or {}), **(dataset.get('metainfo') or {})}
            return plain({k: meta[k] for k in ('classes', 'palette') if k in meta})
    return {}


def _normalisation(preprocessor):
    """What has to be done to an image before the network: ``(image - mean) / std`` per channel."""
    swaps = preprocessor.get('bgr_to_rgb') or preprocessor.get('rgb_to_bgr')
    return dict(
        layout='float32 [B, C, H, W]',
        range='0 to 255 before normalisation',
        channels='RGB' if swaps else 'BGR, as mmcv loads',
        mean=plain(preprocessor.get('mean')),
        std=plain(preprocessor.get('std')),
        training_padding=dict(size=plain(preprocessor.get('size')), divisor=preprocessor.get('size_divisor')),
    )


def _size(cfg):
    try:
        return input_size(cfg)
    except (UserError, AttributeError):
        return 512, 512


# -- the graph -------------------------------------------------------------------------------------------------------------
class Logits(nn.Module):
    """``image [B, C, H, W]`` -> the network's output; a segmentor's logits are resized to the image, as mmseg does before its argmax.

    ``text [K, D]``, where given, stands in for the rows of its ``ClipSemanticHead``.
    """

    def __init__(self, model):
        super().__init__()
        self.model, self.output = model, 'restored' if isinstance(model, Restorer) else 'logits'

    def forward(self, image, text=None):
        if text is not None:
            return self._with(text, image)
        logits = forward_features(self.model, image)
        if not isinstance(self.model, BaseSegmentor):
            return logits
        if isinstance(getattr(self.model, 'decode_head', None), ClipSemanticHead):
            logits = self.model.decode_head.biased(logits)
        return F.interpolate(logits, size=image.shape[-2:], mode='bilinear', align_corners=self.model.align_corners)

    def _with(self, text, image):
        rows = self.model.decode_head.conv_seg._buffers
        own, rows['text'] = rows['text'], text
        try:
            return self(image)
        finally:
            rows['text'] = own


def to_onnx(model, size, channels=3, text=False):
    """``(bytes of an ONNX file, facts)`` of ``model`` traced at ``size = (H, W)``; facts: exporter, opset, batch and size ('any' or
    numbers), difference.

    torch has two exporters and neither does all networks: the tracing one is quick but may bake sizes in without a word, the other is slow
    and knows more. So each graph is run against torch at every kind of input that it claims to take, and the first that agrees is kept.
    ``text``: the rows of a ``ClipSemanticHead`` are an input, of any number of classes.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UserError(f'Export to ONNX needs {error.name}; run pip install onnx onnxscript onnxruntime.') from error
    if text and not isinstance(getattr(model, 'decode_head', None), ClipSemanticHead):
        raise UserError(f'{type(model).__name__} has no ClipSemanticHead, so its graph cannot take text; leave out --text-input.')
    if text and model.decode_head.seen_bias:
        raise UserError(
            'seen_bias belongs to the classes of the run, and a graph with text as an input has none of its own; set seen_bias to 0, or '
            'leave out --text-input.'
        )
    network, (h, w) = Logits(model).eval(), size
    device = next(model.parameters()).device
    random = torch.Generator().manual_seed(0)

    def example(b, h, w, k=3):
        rows = (
            dict(text=F.normalize(torch.randn(k, model.decode_head.embed.out_channels, generator=random), dim=1).to(device)) if text else {}
        )
        return dict(image=torch.randn(b, channels, h, w, generator=random).to(device), **rows)

    first = example(2, h, w)
    # padding, pooling or a limit of tokens that is worked out from the size of the map: no graph of it is right at all sizes
    rigid = any(
        isinstance(m, ClipEmbedding)
        or type(m).__name__.endswith('Same')
        or isinstance(m, nn.AdaptiveAvgPool2d)
        and m.output_size not in (1, (1, 1))
        for m in model.modules()
    )
    reasons = []
    for any_size, dynamo in [(True, False), (True, True)] * (not rigid) + [(False, False), (False, True)]:
        axes = dict(image={0: 'batch', **({2: 'height', 3: 'width'} if any_size else {})}, **(dict(text={0: 'classes'}) if text else {}))
        try:
            graph = _trace(network, first, axes, dynamo)
            session = onnxruntime.InferenceSession(graph, providers=['CPUExecutionProvider'])
            worst = np.max(
                [
                    _difference(network, session, example(b, *s, k))  # not max(), which loses a nan
                    for b, s, k in [(2, (h, w), 3), (1, (h, w), 1), (3, (h, w), 5)]
                    + [(1, (h + 32, w + 64), 3), (2, (h + 24, w + 8), 4)] * any_size
                ]
            )
        except Exception as error:  # the exporters and the runtime each raise their own kinds
            reasons.append(f'{type(error).__name__}: {" ".join(str(error).split())[:160]}')
            continue
        if worst <= TOLERANCE:
            return graph, dict(
                exporter='dynamo' if dynamo else 'trace',
                opset=onnx.load_model_from_string(graph).opset_import[0].version,
                batch='any',
                size='any' if any_size else [h, w],
                input='image',
                **(dict(text='float32 [K, D], rows of length 1, any K') if text else {}),
                output=network.output,
                output_size='of the image' if isinstance(model, BaseSegmentor) else 'of the network',
                difference=float(worst),
                tolerance=TOLERANCE,
            )
        reasons.append(f'its output differs by {worst:.2g}')
    raise UserError(
        f'{type(model).__name__} cannot be exported to ONNX at {h}x{w} ({reasons[-1]}); try another --shape, or export without --onnx.'
    )


def _trace(network, example, axes, dynamo):
    """The bytes of one attempt, without the exporters' talk."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')
            names = dict(input_names=list(example), output_names=[network.output])
            if dynamo:
                program = torch.onnx.export(
                    network, tuple(example.values()), dynamo=True, dynamic_shapes=tuple(axes.values()), verbose=False, **names
                )
                return program.model_proto.SerializeToString()
            file = io.BytesIO()
            torch.onnx.export(
                network,
                tuple(example.values()),
                file,
                dynamo=False,
                dynamic_axes={**axes, network.output: {**axes['image'], **({1: 'classes'} if 'text' in axes else {})}},
                opset_version=17,
                **names,
            )
            return file.getvalue()
    finally:
        logging.disable(level)


@torch.no_grad()
def _difference(network, session, example):
    """Largest difference of the two runtimes, over the largest logit where that is above 1; infinite for outputs of unlike shapes."""
    ours = network(*example.values()).cpu().numpy()
    theirs = session.run(None, {k: v.cpu().numpy() for k, v in example.items()})[0]
    return float(np.abs(ours - theirs).max() / max(1, np.abs(ours).max())) if ours.shape == theirs.shape else np.inf
