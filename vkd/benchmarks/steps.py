"""The training step of every registered method, against the student alone and the teacher's forward."""

import inspect

import numpy as np
import torch
from mmengine.config import Config

from .. import METHODS, costs
from ..build import built as building
from ..build.config import type_name
from ..build.networks import forward_features
from ..errors import UserError
from ..io.console import show_table
from . import quartiles, verdict

FEATURE = dict(student='backbone[3]', teacher='backbone[3]')
SCORES = dict(student='decode_head.conv_seg', teacher='decode_head.conv_seg')
#: options of methods whose defaults are not enough; any other is built with its defaults, and with FEATURE for a tap that has none
OPTIONS = dict(FeatureKD=FEATURE, FitNet=FEATURE, MGD=FEATURE, ChimeraSeg=FEATURE, OutputKD=SCORES, WaveletKD=SCORES)
GOAL = 1.05


def segformer(width, depth, classes):
    """A small SegFormer; a built-in network of a benchmark that needs no config."""
    return dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=dict(type='mmseg.SegDataPreProcessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True, size_divisor=32),
        backbone=dict(
            type='mmseg.MixVisionTransformer', embed_dims=width, num_layers=[depth] * 4, num_heads=[1, 2, 4, 8], sr_ratios=[8, 4, 2, 1]
        ),
        decode_head=dict(
            type='mmseg.SegformerHead',
            in_channels=[width, 2 * width, 4 * width, 8 * width],
            in_index=[0, 1, 2, 3],
            channels=64,
            num_classes=classes,
            norm_cfg=dict(type='BN'),
            align_corners=False,
            loss_decode=dict(type='mmseg.CrossEntropyLoss', avg_non_ignore=True),
        ),
        test_cfg=dict(mode='whole'),
    )


def default_config(classes=19):
    """A small SegFormer that a wider one teaches, where no config is given."""
    return Config(
        dict(
            default_scope='mmseg',
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4)),
            model=dict(type='vkd.Distiller', student=segformer(16, 1, classes), teacher=segformer(32, 2, classes), methods=[]),
        )
    )


def cases(cfg):
    """``{name: Config}``: the student alone, then every registered method between the student and the teacher of ``cfg``."""
    model = cfg.model.to_dict()
    if 'student' not in model or not (model.get('teacher') or model.get('teachers')):
        raise UserError(f'Config {cfg.filename!r} has no Distiller with a teacher; give one of a distillation.')
    own = {}  # the config's own options know its networks best
    for method in model.get('methods') or []:
        own.setdefault(type_name(method), []).append(method)
    alone = {k: v for k, v in model.items() if k not in ('teacher', 'teachers', 'methods', 'task_weight')}
    out = dict(alone=dict(alone, methods=[]))
    for name, method in METHODS.module_dict.items():
        needed = {k: FEATURE[k] for k, p in inspect.signature(method).parameters.items() if k in FEATURE and p.default is p.empty}
        out[name] = dict(model, methods=own.get(name) or [dict(type=name, **{**needed, **OPTIONS.get(name, {})})])
    copies = {}
    for name, one in out.items():
        copies[name] = cfg.copy()
        copies[name].model = one
    return copies


def measure(rounds, device, cfg=None, shape=(4, 3, 128, 128)):
    """``dict(rows, teacher_seconds, failed)``: cost of a step of each method; ``failed`` says why a method could not be run. A row holds::

    ratio       its step to the student's own, with quartiles low and high
    goal        its step to (the student's own step + a whole forward of the teacher), with quartiles goal_low and goal_high
    parts       shares of its step: data, student, teacher, loss
    memory      its peak memory to the student's own
    """
    cfg = cfg or default_config()
    built, wrappers, failed, configs = {}, {}, {}, cases(cfg)
    for name, one in configs.items():
        try:
            built[name] = building.build(one, device)
            wrappers[name] = building.optim(one, built[name])
        except Exception as error:
            if name == 'alone':
                raise
            failed[name] = f'{type(error).__name__}: {" ".join(str(error).split())}'
    ids = building.label_ids(built['alone'].student)
    if ids is None:
        raise UserError(f'The student of {cfg.filename!r} is no segmentor, so no batch can be drawn for it; give a config of segmentation.')
    batch = building.synthetic_batch(shape, ids)
    teacher = next((next(iter(m.roles.values())) for n, m in built.items() if n != 'alone'), None)
    if teacher is None:
        raise UserError(f'No method could be built ({next(iter(failed.values()))}); fix the config.')
    with torch.no_grad():
        image = teacher.input(built['alone'].data_preprocessor(batch, True)['inputs'])

    @torch.no_grad()
    def teach():
        forward_features(teacher.module.eval(), image)

    calls = dict(alone=lambda: built['alone'].train_step(batch, wrappers['alone']), teacher=teach)
    for name in [n for n in built if n != 'alone']:

        def split(name=name):
            return costs.step_parts(built[name], batch, wrappers[name])

        def step(name=name):
            built[name].train_step(batch, wrappers[name])

        try:
            step()
        except Exception as error:
            failed[name] = f'{type(error).__name__}: {" ".join(str(error).split())}'
            continue
        calls[name], calls[f'{name} in parts'] = step, split
    took = costs.interleaved(calls, rounds, device=device)
    memory = {
        name: costs.peak_memory(one.model.to_dict(), one.optim_wrapper.to_dict(), shape, len(ids), device)
        for name, one in configs.items()
        if name in calls
    }
    rows = [
        dict(
            method='alone',
            seconds=took['alone']['seconds'],
            ratio=1.0,
            low=1.0,
            high=1.0,
            goal=None,
            parts={},
            memory=1.0,
            memory_mib=memory['alone'] / 2**20,
        )
    ]
    for name in [n for n in calls if n in METHODS.module_dict]:
        own, parts = took[name], took[f'{name} in parts']['parts']
        low, goal, high = quartiles(own['times'], np.add(took['alone']['times'], took['teacher']['times']))
        rows.append(
            dict(
                method=name,
                seconds=own['seconds'],
                ratio=own['ratio'],
                low=own['low'],
                high=own['high'],
                goal=goal,
                goal_low=low,
                goal_high=high,
                parts={k: v / parts['total'] for k, v in parts.items() if k != 'total'},
                memory=memory[name] / memory['alone'],
                memory_mib=memory[name] / 2**20,
            )
        )
    return dict(shape=list(shape), rows=rows, teacher_seconds=took['teacher']['seconds'], failed=failed)


def show(out, found):
    """Prints what ``measure`` found, beside its goals."""
    show_table(
        out,
        f'Training step, batch {"x".join(map(str, found["shape"]))}, medians (quartiles)',
        [
            'method',
            'step',
            'to student alone',
            '(25 to 75 %)',
            'to alone + teacher',
            f'goal {GOAL}',
            'student',
            'teacher',
            'loss',
            'data',
            'peak memory',
            'to alone',
        ],
        [
            [
                r['method'],
                f'{1000 * r["seconds"]:.1f} ms',
                f'{r["ratio"]:.2f}',
                f'{r["low"]:.2f} to {r["high"]:.2f}',
                r['goal'] and f'{r["goal"]:.2f} ({r["goal_low"]:.2f} to {r["goal_high"]:.2f})',
                None if r['goal'] is None else verdict(r['goal'], GOAL),
                *(f'{r["parts"][k]:.0%}' if k in r['parts'] else None for k in ('student', 'teacher', 'loss', 'data')),
                f'{r["memory_mib"]:.0f} MiB',
                f'{r["memory"]:.2f}',
            ]
            for r in found['rows']
        ],
    )
    for name, reason in found['failed'].items():
        out.print(f'{name} could not be run: {reason}', markup=False, soft_wrap=True)
    out.print(f'A whole forward of the teacher takes {1000 * found["teacher_seconds"]:.1f} ms.')
