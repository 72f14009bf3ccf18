"""Write the first files for distilling your own mm config. They are its data, the distillation, and a suite; nothing is overwritten.

Without --teacher, the network is taught by one like itself, so that everything runs at once; name a larger one when you have it.

Example:

    vkd new mine.py --teacher large.py
    vkd suite mine_suite.py
"""

import argparse
import os
from pathlib import Path
from typing import Any

from ..errors import UserError, choice
from .list import registered

DATA = '''"""The data of every run, and what is common to them: those of {config}. Change here what is not yours."""

_base_ = {base!r}
# beside vkd, name the modules of your own that the config needs
custom_imports = dict(imports={imports!r}, allow_failed_imports=False)
# what tables call the data and the schedule
data_name, protocol_name = {name!r}, 'own'
randomness = dict(seed=0)
'''
METRIC = '''# mIoU as mmseg's IoUMetric gives it; the tables want the IoU of each class too
val_evaluator = test_evaluator = dict(_delete_=True, type='vkd.SegMetric')
'''
THERE = '''# images and labels are those of {config}; for others, override them here, such as
# train_dataloader = dict(dataset=dict(data_root={root!r}))
'''
STUB = '''# {config} names no data: fill in where the images and labels are, and which classes there are
classes = ('background', 'thing')
_data = dict(
    type='BaseSegDataset',
    data_root='data/{name}',
    img_suffix='.jpg',
    seg_map_suffix='.png',
    metainfo=dict(classes=classes, palette=[[40 * i % 256, 90 * i % 256, 150 * i % 256] for i in range(len(classes))]),
)
_load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _data,
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        pipeline=[*_load, dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')],
    ),
)
val_dataloader = test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(_data, data_prefix=dict(img_path='images/val', seg_map_path='labels/val'), pipeline=[*_load, dict(type='PackSegInputs')]),
)
del _data, _load
'''
DISTIL = '''"""{student} learns from {teacher} by {method}. `vkd list methods` names the other methods."""

_base_ = {data!r}
student_name, teacher_name = {student!r}, {teacher!r}
model = dict(
    _delete_=True,
    type='vkd.Distiller',
    student=dict(cfg={config!r}),
{note}    teacher=dict(cfg={teacher_config!r}, checkpoint={checkpoint!r}),
    methods=[dict(type={method!r})],
)
'''
SUITE = '''"""Whether it pays: the student alone and distilled, three seeds each. Run it by `vkd suite {suite}`."""

title = {name!r}
{teachers}runs = [
    dict(
        method='alone',
        student={student!r},
        config={distil!r},
        options={{'model.teacher': None, 'model.methods': []}},
        seeds=[0, 1, 2],
    ),
    dict(method={method!r}, student={student!r}, {by}config={distil!r}, seeds=[0, 1, 2]),
]
'''
TEACHERS = '''# trained first, once: the same config with the other network, alone
teachers = {{
    {teacher!r}: dict(
        config={distil!r},
        options={{'student_name': {teacher!r}, 'model.student.cfg': {teacher_config!r}, 'model.teacher': None, 'model.methods': []}},
    )
}}
'''


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd new`` takes."""
    p.add_argument('config', help='your mm config: a path, or mmseg::… of those that mmseg ships')
    p.add_argument('--teacher', metavar='CONFIG', help='mm config of a larger network of the same classes')
    p.add_argument('--checkpoint', metavar='FILE', help='weights of the teacher, where you have them: the suite then trains none')
    p.add_argument('--method', default='CWD', help='by which it learns')
    p.add_argument('--name', help="how the files begin; the config's name by default")
    p.add_argument('--out', default='.', metavar='DIR', help='folder to write to')


def files(args: argparse.Namespace) -> dict[Path, str]:
    """``{path: content}`` of the three files. Raises UserError for a config that cannot be distilled as it is."""
    choice('vkd new', 'method', args.method, registered('methods'))
    cfg = _network(args.config)
    if args.teacher:
        _network(args.teacher)
    student, folder = Path(args.config).stem, Path(args.out)
    name = args.name or student
    data, distil, suite = (folder / f'{name}_{part}.py' for part in ('data', 'distil', 'suite'))
    teacher = Path(args.teacher).stem if args.teacher else f'{student}-teacher'
    names = dict(
        name=name,
        config=args.config,
        base=args.config if '::' in args.config else Path(os.path.relpath(args.config, folder)).as_posix(),
        imports=['vkd', *(m for m in (cfg.get('custom_imports') or {}).get('imports', []) if m != 'vkd')],
        data=data.name,
        distil=distil.as_posix(),
        suite=suite.as_posix(),
        student=student,
        teacher=teacher,
        teacher_config=args.teacher or args.config,
        checkpoint=args.checkpoint or 'teacher.pth',
        method=args.method,
        root=((cfg.get('train_dataloader') or {}).get('dataset') or {}).get('data_root') or 'data/mine',
    )
    if args.checkpoint:
        names.update(note='', teachers='', by='')
    else:
        names.update(
            note='    # the suite trains the teacher and fills in its checkpoint; for this file alone, give one of your own\n',
            teachers=TEACHERS.format(**names),
            by=f'teacher={teacher!r}, ',
        )
    kinds = {str(e.get('type')) for e in _evaluators(cfg)}
    own_data = DATA + (METRIC if kinds <= {'IoUMetric', 'mmseg.IoUMetric'} else '') + (THERE if cfg.get('train_dataloader') else STUB)
    return {path: text.format(**names) for path, text in ((data, own_data), (distil, DISTIL), (suite, SUITE))}


def _network(path: str) -> Any:
    """A config that has a plain model."""
    from ..build.config import load_config, type_name

    cfg = load_config(path)
    if not isinstance(cfg.get('model'), dict):
        raise UserError(f'Config {path!r} has no model; give the config of a network.')
    if type_name(cfg.model) == 'Distiller':
        raise UserError(f'Config {path!r} is a distillation already; give the config of a plain network.')
    return cfg


def _evaluators(cfg: Any) -> list[Any]:
    found = [cfg.get('val_evaluator'), cfg.get('test_evaluator')]
    return [e for own in found if own for e in (own if isinstance(own, (list, tuple)) else [own])]


def main(args: argparse.Namespace) -> None:
    """Prints the files that were written, and what to do next."""
    from ..io.files import write_text

    written = files(args)
    there = next((path for path in written if path.exists()), None)
    if there:
        raise UserError(f'{str(there)!r} exists and is not overwritten; choose another --name or --out.')
    for path, text in written.items():
        write_text(path, text)
        print(path)
    data, distil, suite = (path.as_posix() for path in written)
    tried = f'vkd check {distil}, then ' if args.checkpoint else ''
    print(f'Next: look into {data}, then {tried}vkd suite {suite}')
