"""TransKD's variants, in time and memory."""

import numpy as np
import torch

from .. import costs
from ..build import built as building
from ..build.config import load_config
from ..io.console import show_table
from ..registry import METHODS
from . import CONFIGS, quartiles, verdict

GOAL, MEMORY_GOAL = 1.15, 1.25


def measure(rounds, device, shape=(2, 3, 128, 256)):
    """TransKD's variants from MiT-B2 to MiT-B0: the step to (student alone + the teacher's encoder), and the peak memory to (student alone
    + the teacher's weights).
    """
    calls, configs, rounds = {}, {}, max(3, rounds // 3)
    for case in ('alone', *METHODS.get('TransKD').variants):
        cfg = load_config(CONFIGS / f'transkd/transkd-{case if case != "alone" else "base"}_mit-b0_mit-b2_mmseg_cityscapes-512x1024.py')
        cfg.model.teacher.pop('checkpoint')
        if case == 'alone':
            cfg.model = dict(type='vkd.Distiller', student=cfg.model.student, methods=[])
        configs[case], built = cfg, building.build(cfg, device)
        wrapper = building.optim(cfg, built)
        calls[case] = lambda built=built, wrapper=wrapper: built.train_step(batch, wrapper)
    batch, teacher = building.synthetic_batch(shape, 19), built.teachers['teacher']
    with torch.no_grad():
        image = built.data_preprocessor(batch, True)['inputs']

    @torch.no_grad()
    def encode():
        teacher.backbone(image)

    took = costs.interleaved({**calls, 'encoder': encode}, rounds, device=device)
    memory = {case: costs.peak_memory(cfg.model.to_dict(), cfg.optim_wrapper.to_dict(), shape, 19, device) for case, cfg in configs.items()}
    weights = sum(p.numel() * p.element_size() for p in teacher.parameters())
    base, rows = np.add(took['alone']['times'], took['encoder']['times']), []
    for case in list(calls)[1:]:
        low, ratio, high = quartiles(took[case]['times'], base)
        rows.append(
            dict(
                variant=case,
                seconds=took[case]['seconds'],
                ratio=ratio,
                low=low,
                high=high,
                memory=memory[case] / (memory['alone'] + weights),
                memory_mib=memory[case] / 2**20,
            )
        )
    return dict(shape=list(shape), rows=rows, alone_seconds=took['alone']['seconds'], encoder_seconds=took['encoder']['seconds'])


def show(out, found):
    """Prints what ``measure`` found, beside its goals."""
    show_table(
        out,
        f'TransKD, MiT-B2 to MiT-B0, batch {"x".join(map(str, found["shape"]))}',
        [
            'variant',
            'step',
            'to alone + encoder',
            '(25 to 75 %)',
            f'goal {GOAL}',
            'peak memory',
            'to alone + weights',
            f'goal {MEMORY_GOAL}',
        ],
        [
            [
                r['variant'],
                f'{1000 * r["seconds"]:.0f} ms',
                f'{r["ratio"]:.2f}',
                f'{r["low"]:.2f} to {r["high"]:.2f}',
                verdict(r['ratio'], GOAL),
                f'{r["memory_mib"]:.0f} MiB',
                f'{r["memory"]:.2f}',
                verdict(r['memory'], MEMORY_GOAL),
            ]
            for r in found['rows']
        ],
    )
