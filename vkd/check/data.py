"""What a dry run asks of the data: that files exist, samples load, and labels are classes."""

import time
from itertools import islice
from pathlib import Path

from mmcv.transforms import LoadImageFromFile
from rich.console import Console
from rich.progress import track

from ..build import built
from ..distill.taps import student_input
from ..errors import UserError


def check_loader(cfg, key, every_sample=False):
    """``(loader, first batch, facts)`` of one loader; every file it lists exists, the first items, or all, load and have labels in range."""
    loader = _loader(cfg, key)
    dataset = loader.dataset
    _check_files(dataset, key)

    def loaded(i):
        return load_item(dataset, i, key)

    start = time.perf_counter()
    items = [loaded(i) for i in islice(iter(loader.sampler), loader.batch_size or 1)]
    batch = loader.collate_fn(items)
    seconds = time.perf_counter() - start
    if every_sample:
        _load_all(loaded, len(dataset), key)
    inputs = items[0].get('inputs') if isinstance(items[0], dict) else None
    classes = _classes(dataset)
    facts = dict(
        dataset=type(dataset).__name__,
        root=getattr(dataset, 'data_root', None),
        images=len(dataset),
        batch=len(items),
        shape=list(student_input(inputs).shape) if inputs is not None else None,
        classes=len(classes) if classes else None,
        workers=cfg[key].get('num_workers', 0),
        seconds=round(seconds, 4),
    )
    return loader, batch, facts


def _loader(cfg, key):
    """The dataloader ``key``. Raises UserError where its dataset is empty."""
    try:
        loader = built.build_loader(cfg, key)
        empty = not len(loader.dataset)
    except ValueError as error:
        if 'at least one array' not in str(error):  # what mmengine's datasets say of an empty list
            raise
        empty = True
    if empty:
        where = cfg[key].dataset
        raise UserError(
            f'{key}: the dataset ({where.type}, data_root {where.get("data_root")!r}) is empty; fix data_root, data_prefix, ann_file or '
            'the suffixes.'
        )
    return loader


def _info(dataset, i):
    """What a dataset knows of an item without loading it."""
    return dataset.get_data_info(i) if hasattr(dataset, 'get_data_info') else {}


def _classes(dataset):
    return (getattr(dataset, 'metainfo', None) or {}).get('classes')


def _check_files(dataset, key):
    """Raises UserError for a file that is listed and does not exist, where images come from files."""
    if not any(isinstance(t, LoadImageFromFile) for t in getattr(getattr(dataset, 'pipeline', None), 'transforms', ())):
        return
    for i in range(len(dataset)):
        facts = _info(dataset, i)
        for what in ('img_path', 'seg_map_path'):
            path = facts.get(what)
            if path and '://' not in path and not Path(path).is_file():
                raise UserError(
                    f'{key}: {what} {path!r} does not exist; put the file there, or fix data_root, data_prefix and the suffixes.',
                    code='no-such-file',
                )


def load_item(dataset, i, key):
    """Item ``i`` of the dataset of the loader ``key``. Raises UserError where it does not load, or its labels are wrong."""
    name = _info(dataset, i).get('img_path', f'item {i}')
    try:
        item = dataset[i]
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f'{key}: {name!r} cannot be loaded ({type(error).__name__}: {" ".join(str(error).split())[:200]}); fix the file or the '
            'pipeline.'
        ) from error
    check_item(key, name, item, _classes(dataset), getattr(dataset, 'ignore_index', 255))
    return item


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


def check_item(key, name, item, classes, ignore):
    """Raises UserError where the label map of ``item`` is none, or of another size than its image, or holds no class."""
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
            'fix the file, or the order of the pipeline.'
        )
    if classes:
        wrong = label[(label != ignore) & ((label < 0) | (label >= len(classes)))]
        if len(wrong):
            raise UserError(
                f'{key}: the label map of {name!r} holds class {int(wrong[0])}, but there are {len(classes)} classes (0 to '
                f'{len(classes) - 1}) and {ignore} is ignored; '
                'fix the labels, or the classes (reduce_zero_label?).'
            )
