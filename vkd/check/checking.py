"""A dry run: what a config will do, in seconds and before hours are spent.

Here is what is checked, one function a part; ``check_data`` looks at the data, ``check_report`` prints.
"""

import functools
import inspect
import math
from contextlib import contextmanager
from itertools import zip_longest

import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import set_random_seed

from .. import costs
from ..build import built as building
from ..build.checkpoint import load_into
from ..build.identity import experiment, fingerprint, told_names
from ..build.networks import forward_features, student_of
from ..distill.distiller import Distiller
from ..distill.wires import NothingAdded
from ..errors import UserError, fix, nearest
from ..registry import LOOPS
from ..text.embeddings import check_text
from .data import check_loader
from .report import show

__all__ = ['check', 'show']
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def check(cfg, device=None, debug=False, every_sample=False):
    """Builds what ``cfg`` (a Config) describes, takes real steps on its first batches, and reports.

    Returns ``dict(config, device, errors, warnings, fingerprint, data, student, teachers, load_from, taps, parameters, losses, no_gradient,
    step, run)``; a part that could not be reached is absent. ``errors`` and ``warnings`` are lists of one sentence each; independent errors
    are all collected. Nothing is written. ``debug`` lets the first error through. ``every_sample`` loads all samples of all data sets, not the
    first batch alone.
    """
    device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    report = dict(config=cfg.filename, errors=[], warnings=[], fingerprint=fingerprint(cfg), device=str(device), data={})
    set_random_seed((cfg.get('randomness') or {}).get('seed') or 0)
    part = functools.partial(_part, report, debug)
    loaders, batches, model, wrapper = {}, {}, None, None
    for key in LOADERS:
        if cfg.get(key):
            with part(key):
                loaders[key], batches[key], report['data'][key] = check_loader(cfg, key, every_sample)
    with part('model'):
        model = building.build(cfg, device)
    if model is None:
        return report
    student = student_of(model)
    _describe(report, model, student)
    with part('names'):
        report['names'] = experiment(cfg)
        report['warnings'] += filter(None, [told_names(report['names'])])
    with part('model'):
        _fits_data(student, loaders)
    with part('load_from'):
        _start(cfg, model, report)
    with part('train_cfg'):
        _loop(cfg)
    with part('param_scheduler'):
        _schedules(cfg)
    with part('optim_wrapper'):
        wrapper = building.optim(cfg, model)
    batch = batches.get('train_dataloader')
    if batch is None:
        with part('train_dataloader'):
            batch = _noise(cfg, student, report)
    if batch is None or wrapper is None:
        return report
    with part('methods'):
        report['taps'] = _taps(model, batch)
    with part('a training step'):
        report['losses'], report['no_gradient'] = _terms(model, student, batch, wrapper, report)
        report['step'] = _step(model, batch, wrapper, device)
    with part('val_dataloader' if 'val_dataloader' in batches else 'run'):
        if 'step' in report:
            report['run'] = _run(cfg, report, model, loaders, batches)
    return report


@contextmanager
def _part(report, debug, where):
    """What goes wrong inside becomes a sentence among the errors of ``report``, so that the other parts are checked too; ``debug`` lets it
    through.
    """
    try:
        yield
    except UserError as error:
        if debug:
            raise
        if str(error) not in report['errors']:  # three loaders may share one missing root
            report['errors'].append(str(error))
    except Exception as error:  # whatever a user's own classes raise belongs in the report, beside the other findings
        if debug:
            raise
        text = ' '.join(str(error).split())[:300] or 'no message'
        report['errors'].append(
            f'{where}: {type(error).__name__}: {text}; {fix(error) or "fix this part of the config, or see the traceback with --debug"}.'
        )


# -- the parts -------------------------------------------------------------------------------------------------------------
def _start(cfg, model, report):
    """Loads the weights that ``load_from`` names, as far as they fit, and says how far that is."""
    if not cfg.get('load_from'):
        return
    found = load_into(model, cfg.load_from, strict=False)
    report['load_from'] = {k: found[k] for k in ('checkpoint', 'matched', 'total', 'share')}
    if found['missing']:
        report['warnings'].append(
            f'load_from: {cfg.load_from!r} fits {found["matched"]} of {found["total"]} tensors, not for example {found["missing"][0]!r}.'
        )


def _noise(cfg, student, report):
    """A batch of noise of the configured size in place of data that cannot be read; None for a student of unknown labels. Raises UserError
    for a config without training data.
    """
    if not cfg.get('train_dataloader'):
        raise UserError('The config has no train_dataloader; add one, or check a training config.')
    classes = building.label_ids(student)
    if classes is None:
        return None
    batch = building.synthetic_batch((cfg.train_dataloader.get('batch_size', 1), 3, *building.input_size(cfg)), classes)
    report['warnings'].append('The training data cannot be read, so the steps below are on noise of the configured size.')
    return batch


def _loop(cfg):
    """Raises UserError for an option that the training loop does not have."""
    options = dict(cfg.get('train_cfg') or {})
    kind = options.pop('type', None) or ('EpochBasedTrainLoop' if options.get('by_epoch', True) else 'IterBasedTrainLoop')
    options.pop('by_epoch', None)
    with building.scope(cfg), LOOPS.switch_scope_and_registry(None) as own:
        loop = kind if isinstance(kind, type) else own.get(kind)
    if loop is None:
        raise UserError(f'train_cfg: the loop {kind!r} is not registered; fix its type, or import what defines it by custom_imports.')
    known = [name for c in loop.__mro__ if '__init__' in vars(c) for name in inspect.signature(c.__init__).parameters]
    for option in options:
        if option not in known:
            raise UserError(
                f'train_cfg: {loop.__name__} has no option {option!r}; {nearest(option, set(known) - {"self", "runner", "dataloader"})}.'
            )


def _schedules(cfg):
    """Builds the parameter schedulers on an optimizer of one parameter, so that a wrong type or option shows."""
    given = cfg.get('param_scheduler') or []
    for own in given.values() if isinstance(given, dict) and 'type' not in given else [given]:
        for one in own if isinstance(own, (list, tuple)) else [own]:
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1, momentum=0.9)
            with building.scope(cfg):
                PARAM_SCHEDULERS.build({**{k: v for k, v in one.items() if k != 'convert_to_iter_based'}, 'optimizer': optimizer})


def _count(module):
    numbers = [(p.numel(), p.requires_grad) for p in module.parameters()]
    return dict(trainable=sum(n for n, learns in numbers if learns), total=sum(n for n, _ in numbers))


def _loaded(found):
    return {k: found[k] for k in ('checkpoint', 'matched', 'total', 'share')} if found else None


def _describe(report, model, student):
    """Checkpoints of the networks and trainable parameters by part."""
    report['student'] = dict(type=type(student).__name__, **_count(student), loaded=_loaded(getattr(model, 'student_report', None)))
    report['parameters'] = {
        f'student.{name}': _count(module) for name, module in student.named_children() if any(True for _ in module.parameters())
    }
    report['teachers'] = []
    if not isinstance(model, Distiller):
        return
    for role in model.roles.values():
        report['teachers'].append(
            dict(
                name=role.name,
                type=type(role.module).__name__,
                **_count(role.module),
                loaded=_loaded(role.report),
                learns='gradient' if role.trainable else 'average' if role.ema else 'no',
            )
        )
        if role.trainable:
            report['parameters'][role.name] = _count(role.module)
    for i, method in enumerate(model.methods):
        report['parameters'][f'methods.{i} ({type(method).__name__})'] = _count(method)
    _doubt_teachers(report, model)


def _doubt_teachers(report, model):
    """Warns of teachers that were not trained, or not loaded as a whole, or that nobody reads."""
    for role in model.roles.values():
        found = role.report
        if not role.trainable and not role.ema and not found:
            report['warnings'].append(f'{role.name}: no checkpoint was given, so an untrained teacher teaches.')
        elif found and found['total'] < len(role.module.state_dict()):  # a package of weights fills a backbone only
            report['warnings'].append(
                f'{role.name}: {found["checkpoint"]!r} fills {found["total"]} of {len(role.module.state_dict())} tensors, the rest is '
                'untrained; teach with a fine-tuned checkpoint.'
            )
        elif found and found['share'] < 1:
            report['warnings'].append(
                f'{role.name}: {found["checkpoint"]!r} fits {found["matched"]} of {found["total"]} tensors (strict=False), not for example '
                f'{found["missing"][0]!r}.'
            )
    read = {name for wire in model.wires for name in wire.roles}
    for name in model.roles:
        if name not in read and not model.roles[name].trainable:
            report['warnings'].append(f'{name}: no method reads it, so it teaches nobody.')


def _fits_data(student, loaders):
    heads = getattr(getattr(student, 'decode_head', None), 'num_classes', None)
    for key, loader in loaders.items():
        classes = (getattr(loader.dataset, 'metainfo', None) or {}).get('classes')
        if heads and classes and heads != len(classes):
            raise UserError(f'decode_head.num_classes is {heads}, but the data of {key} have {len(classes)} classes; make them agree.')
        check_text(student, loader.dataset)


def _taps(model, batch):
    """One row a pair of taps, with their shapes on a real batch."""
    if not isinstance(model, Distiller):
        return []
    mode = model.training
    model.eval()
    try:
        with torch.no_grad():
            inputs = model.data_preprocessor(batch, True)['inputs']
            seen = {}
            for name, network in model.networks.items():
                x = model.image(name, inputs)
                seen[name] = model.readers[name].read(lambda network=network, x=x: forward_features(network, x))[1]
    finally:
        model.train(mode)

    def shape(name, tap):
        return list(seen[name][tap].shape) if tap else None

    rows = []
    for wire in model.wires:
        first, *others = wire.roles
        for other in others:
            for s, t in zip_longest(wire.taps[first], wire.taps[other]):
                rows.append(
                    dict(
                        method=type(wire.method).__name__,
                        learner=first,
                        student=s,
                        student_shape=shape(first, s),
                        of=other,
                        teacher=t,
                        teacher_shape=shape(other, t),
                    )
                )
    return rows


def _terms(model, student, batch, wrapper, report):
    """``([dict(term, value, gradient)], names of parameters without gradient)``: the norm of each term's gradient on the student."""
    model.train()
    try:
        with wrapper.optim_context(model):
            losses = model(**model.data_preprocessor(batch, True), mode='loss')
    except NothingAdded as error:  # one sentence a method
        report['errors'] += error.sentences
        losses = error.losses
    rows, reached = [], set()
    terms = {k: v.mean() if isinstance(v, torch.Tensor) else sum(x.mean() for x in v) for k, v in losses.items() if 'loss' in k}
    for term, value in terms.items():
        row = dict(term=term, value=float(value.detach()), gradient=None)
        rows.append(row)
        if not math.isfinite(row['value']):
            report['errors'].append(
                f'Loss term {term!r} is {row["value"]} in the first step; lower its weight or temperature, or fix its inputs.'
            )
            continue
        if not value.requires_grad:
            report['warnings'].append(f'Loss term {term!r} depends on no trainable parameter.')
            continue
        model.zero_grad(set_to_none=True)
        value.backward(retain_graph=True)
        reached |= {name for name, p in model.named_parameters() if p.grad is not None}
        norms = [p.grad.float().norm() for p in student.parameters() if p.grad is not None]
        row['gradient'] = float(torch.stack(norms).norm()) if norms else 0.0
        if not math.isfinite(row['gradient']):
            report['errors'].append(
                f'The gradient of loss term {term!r} is {row["gradient"]} in the first step; lower its weight or fix its inputs.'
            )
        elif row['gradient'] == 0:
            report['warnings'].append(f'Loss term {term!r} gives the student no gradient.')
    model.zero_grad(set_to_none=True)
    unreached = [name for name, p in model.named_parameters() if p.requires_grad and name not in reached]
    frozen = [f'student.{name}' for name in model.unreached] if isinstance(model, Distiller) else []
    if frozen:
        report['warnings'].append(
            f'task_weight=0: no method reaches {len(frozen)} tensors of the student, for example {frozen[0]!r}; they are frozen, and stay '
            'as they begin.'
        )
    if unreached:
        report['warnings'].append(
            f'{len(unreached)} trainable tensors get no gradient, for example {unreached[0]!r}; freeze them, or several processes need '
            'find_unused_parameters=True.'
        )
    return rows, unreached + frozen


def _step(model, batch, wrapper, device):
    """Seconds, split, and memory of a training step."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    took = costs.interleaved(dict(step=lambda: model.train_step(batch, wrapper)), rounds=2, device=device)['step']
    out = dict(seconds=round(took['seconds'], 4))
    if isinstance(model, Distiller):
        out['parts'] = {k: round(v, 4) for k, v in costs.step_parts(model, batch, wrapper).items() if k != 'total'}
    if device.type == 'cuda':
        return dict(out, memory_mib=round(torch.cuda.max_memory_allocated(device) / 2**20), memory_of='tensors on the GPU')
    return dict(out, memory_mib=round(costs.resident_peak() / 2**20), memory_of='this process, libraries included')


def _run(cfg, report, model, loaders, batches):
    """Estimated seconds of the whole run: steps (and what reading costs beyond them), and validations."""
    train, data = cfg.train_cfg, report['data'].get('train_dataloader', {})
    epochs = train.get('max_epochs')
    per_epoch = len(loaders['train_dataloader']) if 'train_dataloader' in loaders else 1
    iters = train.get('max_iters') or (epochs or 0) * per_epoch
    if not iters:
        raise UserError('train_cfg names neither max_iters nor max_epochs; give one.')
    step = report['step']['seconds']
    train_seconds = round(iters * (step + _wait(data, step)), 1)
    validations, val_seconds = 0, 0
    if 'val_dataloader' in batches and cfg.get('val_cfg') is not None:
        loader, facts = loaders['val_dataloader'], report['data']['val_dataloader']
        seconds = _validation_step(cfg, report, model, loader, batches['val_dataloader'])
        validations = max(0, (epochs or iters) // train.get('val_interval', 1))
        val_seconds = round(validations * len(loader) * (seconds + _wait(facts, seconds)), 1)
    return dict(
        iterations=iters,
        validations=validations,
        train_seconds=train_seconds,
        val_seconds=val_seconds,
        seconds=round(train_seconds + val_seconds, 1),
    )


def _wait(data, step):
    """Seconds that a step of ``step`` seconds waits for its batch, as ``data``, the facts of a loader, have it."""
    load, workers = data.get('seconds', 0), data.get('workers', 0)
    return load if not workers else max(0, load / workers - step)  # workers read while a step runs


def _validation_step(cfg, report, model, loader, batch):
    """Seconds of one validation step, metric included."""
    evaluator = None
    with building.scope(cfg), building.quiet():
        if cfg.get('val_evaluator'):
            evaluator = Evaluator(cfg.val_evaluator)
            evaluator.dataset_meta = loader.dataset.metainfo
    model.eval()
    with torch.no_grad():
        start = costs.clock(report['device'])
        samples = model.val_step(batch)
        if evaluator:
            evaluator.process(data_samples=samples, data_batch=batch)
        return costs.clock(report['device']) - start
