"""The config of a network alone, which plain mmseg reads, and what else of a config its page tells."""

import copy

from mmengine.config import Config, ConfigDict
from mmseg.datasets.transforms import LoadAnnotations

from ..build.built import input_size, scope
from ..build.config import load_config, plain, teachers_of, type_name
from ..build.networks import split_role
from ..errors import UserError, nearest
from ..registry import DATASETS, MODELS, TRANSFORMS


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
    modules = [*_imports(cfg), *(_imports(load_config(source)) if source else []), *(['vkd'] if 'vkd.' in str(_types(out)) else [])]
    if modules:
        out['custom_imports'] = dict(imports=list(dict.fromkeys(modules)), allow_failed_imports=False)
    return Config(out)


def _imports(cfg):
    """Modules other than vkd that a config imports."""
    found = (cfg.get('custom_imports') or {}).get('imports') or []
    return [name for name in ([found] if isinstance(found, str) else found) if name.split('.')[0] != 'vkd']


def needed_modules(config):
    """Names of the modules that a plain config imports."""
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
        model = load_config(model).model
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


def dataset_meta(cfg):
    """Classes and palette as plain lists; empty where the config names no dataset that has them."""
    for key in ('test_dataloader', 'val_dataloader', 'train_dataloader'):
        dataset = (cfg.get(key) or {}).get('dataset')
        if dataset and dataset.get('type'):
            meta = {**(getattr(_class(cfg, DATASETS, dataset['type']), 'METAINFO', None) or {}), **(dataset.get('metainfo') or {})}
            return plain({k: meta[k] for k in ('classes', 'palette') if k in meta})
    return {}


def normalisation(preprocessor):
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


def training_size(cfg):
    """``(H, W)`` of the images that ``cfg`` trains on; 512x512 where it does not say."""
    try:
        return input_size(cfg)
    except (UserError, AttributeError):
        return 512, 512
