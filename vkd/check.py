"""A dry run: what a config will do, in seconds and before hours are spent."""

import inspect
import math
import sys
import time
from contextlib import contextmanager
from itertools import islice, zip_longest
from pathlib import Path

import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.evaluator import Evaluator
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import set_random_seed
from rich.console import Console
from rich.progress import track

from . import building, profile
from .checkpoint import load_into
from .config import fingerprint
from .console import console, duration, show_table
from .distiller import Distiller
from .errors import UserError, mend, nearest
from .networks import forward_features, student_of
from .registry import LOOPS
from .taps import student_input
from .text import check_text
from .wires import NothingAdded

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

    @contextmanager
    def part(where):
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
                f'{where}: {type(error).__name__}: {text}; '
                f'{mend(error) or "mend this part of the config, or see the traceback with --debug"}.'
            )

    loaders, batches, model, wrapper = {}, {}, None, None
    for key in LOADERS:
        if cfg.get(key):
            with part(key):
                loaders[key], batches[key], report['data'][key] = _data(cfg, key, every_sample)
    with part('model'):
        model = building.build(cfg, device)
    if model is None:
        return report
    student = student_of(model)
    _describe(report, model, student)
    with part('model'):
        _fits_data(student, loaders)
    with part('load_from'):
        if cfg.get('load_from'):
            found = load_into(model, cfg.load_from, strict=False)
            report['load_from'] = {k: found[k] for k in ('checkpoint', 'matched', 'total', 'share')}
            if found['missing']:
                report['warnings'].append(
                    f'load_from: {cfg.load_from!r} fits {found["matched"]} of {found["total"]} tensors, not for example '
                    f'{found["missing"][0]!r}.'
                )
    with part('train_cfg'):
        _loop(cfg)
    with part('param_scheduler'):
        _schedules(cfg)
    with part('optim_wrapper'):
        wrapper = building.optim(cfg, model)
    batch = batches.get('train_dataloader')
    if batch is None:
        with part('train_dataloader'):
            if not cfg.get('train_dataloader'):
                raise UserError('The config has no train_dataloader; add one, or check a training config.')
            classes = building.label_ids(student)
            if classes is not None:
                batch = building.synthetic_batch((cfg.train_dataloader.get('batch_size', 1), 3, *building.input_size(cfg)), classes)
                report['warnings'].append('The training data cannot be read, so the steps below are on noise of the configured size.')
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


# -- the parts -------------------------------------------------------------------------------------------------------------
def _data(cfg, key, every_sample=False):
    """``(loader, first batch, facts)`` of one loader; every file it lists exists, the first items, or all, load and have labels in range."""
    try:
        loader = building.build_loader(cfg, key)
        empty = not len(loader.dataset)
    except ValueError as error:
        if 'at least one array' not in str(error):  # what mmengine's datasets say of an empty list
            raise
        empty = True
    if empty:
        where = cfg[key].dataset
        raise UserError(
            f'{key}: the dataset ({where.type}, data_root {where.get("data_root")!r}) is empty; mend data_root, data_prefix, ann_file or '
            'the suffixes.'
        )
    dataset = loader.dataset
    info = getattr(dataset, 'get_data_info', lambda i: {})
    if any(isinstance(t, LoadImageFromFile) for t in getattr(getattr(dataset, 'pipeline', None), 'transforms', ())):
        for facts in map(info, range(len(dataset))):
            for what in ('img_path', 'seg_map_path'):
                path = facts.get(what)
                if path and '://' not in path and not Path(path).is_file():
                    raise UserError(
                        f'{key}: {what} {path!r} does not exist; put the file there, or mend data_root, data_prefix and the suffixes.'
                    )
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    ignore = getattr(dataset, 'ignore_index', 255)

    def loaded(i):
        name = info(i).get('img_path', f'item {i}')
        try:
            item = dataset[i]
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f'{key}: {name!r} cannot be loaded ({type(error).__name__}: {" ".join(str(error).split())[:200]}); mend the file or the '
                'pipeline.'
            ) from error
        _check_item(key, name, item, classes, ignore)
        return item

    start = time.perf_counter()
    items = [loaded(i) for i in islice(iter(loader.sampler), loader.batch_size or 1)]
    batch = loader.collate_fn(items)
    seconds = time.perf_counter() - start
    if every_sample:
        _load_all(loaded, len(dataset), key)
    inputs = items[0].get('inputs') if isinstance(items[0], dict) else None
    shape = list(student_input(inputs).shape) if inputs is not None else None
    return (
        loader,
        batch,
        dict(
            dataset=type(dataset).__name__,
            root=getattr(dataset, 'data_root', None),
            images=len(dataset),
            batch=len(items),
            shape=shape,
            classes=len(classes) if classes else None,
            workers=cfg[key].get('num_workers', 0),
            seconds=round(seconds, 4),
        ),
    )


def _load_all(loaded, count, key, shown=20):
    """Raises UserError that names up to ``shown`` samples of those that do not load, or whose labels are wrong."""
    wrong = []
    for i in track(range(count), key, console=Console(stderr=True), transient=True):
        try:
            loaded(i)
        except UserError as error:
            wrong.append(str(error))
    if wrong:
        more = f' And {len(wrong) - shown} more.' if len(wrong) > shown else ''
        raise UserError(f'{len(wrong)} of {count} samples are wrong. {" ".join(wrong[:shown])}{more}')


def _loop(cfg):
    """Raises UserError for an option that the training loop does not have."""
    options = dict(cfg.get('train_cfg') or {})
    kind = options.pop('type', None) or ('EpochBasedTrainLoop' if options.get('by_epoch', True) else 'IterBasedTrainLoop')
    options.pop('by_epoch', None)
    with building.scope(cfg), LOOPS.switch_scope_and_registry(None) as own:
        loop = kind if isinstance(kind, type) else own.get(kind)
    if loop is None:
        raise UserError(f'train_cfg: the loop {kind!r} is not registered; mend its type, or import what defines it by custom_imports.')
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


def _check_item(key, name, item, classes, ignore):
    sample = item.get('data_samples') if isinstance(item, dict) else None
    if sample is None or 'gt_sem_seg' not in sample:
        if key == 'train_dataloader' and sample is not None and classes:
            raise UserError(f'{key}: {name!r} comes without a label map; add LoadAnnotations to the pipeline.')
        return
    label = sample.gt_sem_seg.data
    if label.dim() != 3 or len(label) != 1:
        raise UserError(
            f'{key}: the label map of {name!r} has the shape {tuple(label.shape)}; give images of one channel, the class index.'
        )
    size = tuple(item['inputs'].shape[-2:]) if key == 'train_dataloader' else tuple(sample.metainfo.get('ori_shape', label.shape[-2:]))
    if tuple(label.shape[-2:]) != size:
        raise UserError(
            f'{key}: the image of {name!r} is {size[0]}x{size[1]} and its label map {label.shape[-2]}x{label.shape[-1]}; they must agree: '
            'mend the file, or the order of the pipeline.'
        )
    if classes:
        wrong = label[(label != ignore) & ((label < 0) | (label >= len(classes)))]
        if len(wrong):
            raise UserError(
                f'{key}: the label map of {name!r} holds class {int(wrong[0])}, but there are {len(classes)} classes (0 to '
                f'{len(classes) - 1}) and {ignore} is ignored; '
                'mend the labels, or the classes (reduce_zero_label?).'
            )


def _describe(report, model, student):
    """Checkpoints of the networks and trainable parameters by part."""

    def count(module):
        numbers = [(p.numel(), p.requires_grad) for p in module.parameters()]
        return dict(trainable=sum(n for n, learns in numbers if learns), total=sum(n for n, _ in numbers))

    def loaded(found):
        return {k: found[k] for k in ('checkpoint', 'matched', 'total', 'share')} if found else None

    report['student'] = dict(type=type(student).__name__, **count(student), loaded=loaded(getattr(model, 'student_report', None)))
    report['parameters'] = {
        f'student.{name}': count(module) for name, module in student.named_children() if any(True for _ in module.parameters())
    }
    report['teachers'] = []
    if not isinstance(model, Distiller):
        return
    for role in model.roles.values():
        report['teachers'].append(
            dict(
                name=role.name,
                type=type(role.module).__name__,
                **count(role.module),
                loaded=loaded(role.report),
                learns='gradient' if role.trainable else 'average' if role.ema else 'no',
            )
        )
        if role.trainable:
            report['parameters'][role.name] = count(role.module)
        if not role.trainable and not role.ema and not role.report:
            report['warnings'].append(f'{role.name}: no checkpoint was given, so an untrained teacher teaches.')
        elif role.report and role.report['total'] < len(role.module.state_dict()):  # a package of weights fills a backbone only
            report['warnings'].append(
                f'{role.name}: {role.report["checkpoint"]!r} fills {role.report["total"]} of {len(role.module.state_dict())} tensors, the '
                'rest is untrained; teach with a fine-tuned checkpoint.'
            )
        elif role.report and role.report['share'] < 1:
            report['warnings'].append(
                f'{role.name}: {role.report["checkpoint"]!r} fits {role.report["matched"]} of {role.report["total"]} tensors '
                f'(strict=False), not for example {role.report["missing"][0]!r}.'
            )
    read = {name for wire in model.wires for name in wire.roles}
    for name in model.roles:
        if name not in read and not model.roles[name].trainable:
            report['warnings'].append(f'{name}: no method reads it, so it teaches nobody.')
    for i, method in enumerate(model.methods):
        report['parameters'][f'methods.{i} ({type(method).__name__})'] = count(method)


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
                f'Loss term {term!r} is {row["value"]} in the first step; lower its weight or temperature, or mend its inputs.'
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
                f'The gradient of loss term {term!r} is {row["gradient"]} in the first step; lower its weight or mend its inputs.'
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
    took = profile.interleaved(dict(step=lambda: model.train_step(batch, wrapper)), rounds=2, device=device)['step']
    out = dict(seconds=round(took['seconds'], 4))
    if isinstance(model, Distiller):
        out['parts'] = {k: round(v, 4) for k, v in profile.step_parts(model, batch, wrapper).items() if k != 'total'}
    if device.type == 'cuda':
        return dict(out, memory_mib=round(torch.cuda.max_memory_allocated(device) / 2**20), memory_of='tensors on the GPU')
    return dict(out, memory_mib=round(profile.resident_peak() / 2**20), memory_of='this process, libraries included')


def _run(cfg, report, model, loaders, batches):
    """Estimated seconds of the whole run: steps (and what reading costs beyond them), and validations."""
    train, data = cfg.train_cfg, report['data'].get('train_dataloader', {})
    epochs = train.get('max_epochs')
    per_epoch = len(loaders['train_dataloader']) if 'train_dataloader' in loaders else 1
    iters = train.get('max_iters') or (epochs or 0) * per_epoch
    if not iters:
        raise UserError('train_cfg names neither max_iters nor max_epochs; give one.')
    step, load, workers = report['step']['seconds'], data.get('seconds', 0), data.get('workers', 0)
    wait = load if not workers else max(0, load / workers - step)  # workers read while a step runs
    out = dict(iterations=iters, validations=0, train_seconds=round(iters * (step + wait), 1), val_seconds=0)
    if 'val_dataloader' in batches and cfg.get('val_cfg') is not None:
        loader, batch = loaders['val_dataloader'], batches['val_dataloader']
        evaluator = None
        with building.scope(cfg), building.quiet():
            if cfg.get('val_evaluator'):
                evaluator = Evaluator(cfg.val_evaluator)
                evaluator.dataset_meta = loader.dataset.metainfo
        model.eval()
        with torch.no_grad():
            start = profile.clock(report['device'])
            samples = model.val_step(batch)
            if evaluator:
                evaluator.process(data_samples=samples, data_batch=batch)
            seconds = profile.clock(report['device']) - start
        facts, every = report['data']['val_dataloader'], train.get('val_interval', 1)
        wait = facts['seconds'] if not facts['workers'] else max(0, facts['seconds'] / facts['workers'] - seconds)
        out['validations'] = max(0, (epochs or iters) // every)
        out['val_seconds'] = round(out['validations'] * len(loader) * (seconds + wait), 1)
    return dict(out, seconds=round(out['train_seconds'] + out['val_seconds'], 1))


# -- printing --------------------------------------------------------------------------------------------------------------
def show(report, file=None):
    """Prints a report of ``check``; its errors go to stderr, one line each."""
    out = console(file)

    def shape(x):
        return 'x'.join(map(str, x)) if x else None

    def share(found):
        return f'{found["matched"]} of {found["total"]} tensors ({found["share"]:.0%})' if found else None

    if report['data']:
        show_table(
            out,
            'Data',
            ['loader', 'dataset', 'root', 'images', 'batch', 'first input', 'classes', 'reading a batch'],
            [
                [k.split('_')[0], d['dataset'], d['root'], d['images'], d['batch'], shape(d['shape']), d['classes'], duration(d['seconds'])]
                for k, d in report['data'].items()
            ],
        )
    if 'student' in report:
        nets = [dict(name='student', learns='gradient', **report['student'])] + report['teachers']
        show_table(
            out,
            'Networks',
            ['role', 'type', 'learns', 'parameters', 'checkpoint', 'matched'],
            [[n['name'], n['type'], n['learns'], n['total'], (n['loaded'] or {}).get('checkpoint'), share(n['loaded'])] for n in nets],
        )
        show_table(
            out,
            'Parameters that learn',
            ['part', 'trainable', 'of'],
            [[k, v['trainable'], v['total']] for k, v in report['parameters'].items()],
        )
    if report.get('taps'):
        show_table(
            out,
            'Taps',
            ['method', 'student', 'shape', 'teacher', 'tap', 'shape'],
            [
                [r['method'], r['student'], shape(r['student_shape']), r['of'], r['teacher'], shape(r['teacher_shape'])]
                for r in report['taps']
            ],
        )
    if 'losses' in report:
        show_table(
            out,
            'First step',
            ['loss term', 'value', 'norm of its gradient on the student'],
            [[r['term'], r['value'], r['gradient']] for r in report['losses']],
        )
    if 'step' in report:
        step = report['step']
        split = ', '.join(f'{k} {duration(v)}' for k, v in step.get('parts', {}).items())
        out.print(
            f'A step takes {duration(step["seconds"])}{f" ({split})" if split else ""} and {step["memory_mib"]:,} MiB '
            f'({step["memory_of"]}) on {report["device"]}.',
            markup=False,
        )
    if 'run' in report:
        run = report['run']
        out.print(
            f'The run: {run["iterations"]:,} iterations in {duration(run["train_seconds"])} and {run["validations"]} validations in '
            f'{duration(run["val_seconds"])}, '
            f'about {duration(run["seconds"])} in all.',
            markup=False,
        )
    for warning in report['warnings']:
        out.print(f'warning: {warning}', markup=False, soft_wrap=True)
    for error in report['errors']:
        print(f'error: {error}', file=sys.stderr)
    if not report['errors']:
        out.print('No errors.')
