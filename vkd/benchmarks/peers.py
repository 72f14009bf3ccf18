"""Methods among peers, against the two networks' own steps."""

import numpy as np

from .. import METHODS, costs
from ..build import built as building
from ..build.config import load_config
from ..io.console import show_table
from . import CONFIGS, quartiles, verdict

GOAL, CONFIG = 1.10, 'ctcl/ctcl_lite0_mit-b0_crops_camvid-160x160.py'


def measure(rounds, device, config=CONFIG, shape=(4, 3, 160, 160)):
    """A row for each method among peers: its step to the sum of the two networks' own steps, with quartiles, and its peak memory to that of
    the pair without a method.
    """
    cfg = load_config(CONFIGS / config)
    model = cfg.model.to_dict()
    name, peer = next((n, r) for n, r in model['teachers'].items() if r.get('trainable'))
    alone = dict(type='vkd.Distiller', methods=[])
    wanted = {
        'student alone': dict(alone, student=model['student']),
        f'{name} alone': dict(alone, student=peer['model']),
        'both, no method': dict(model, methods=[]),
    }
    wanted.update({n: dict(model, methods=[dict(type=n)]) for n, m in METHODS.module_dict.items() if getattr(m, 'mutual', False)})
    wanted["CTCL, resolution='logit'"] = dict(model, methods=[dict(type='CTCL', resolution='logit')])
    configs, calls = {}, {}
    for case, one in wanted.items():
        configs[case] = cfg.copy()
        configs[case].model = one
        built = building.build(configs[case], device)
        wrapper = building.optim(configs[case], built)
        calls[case] = lambda built=built, wrapper=wrapper: built.train_step(batch, wrapper)
    classes = model['student']['decode_head']['num_classes']
    batch = building.synthetic_batch(shape, classes)
    took = costs.interleaved(calls, rounds, device=device)
    memory = {
        case: costs.peak_memory(one.model.to_dict(), one.optim_wrapper.to_dict(), shape, classes, device) for case, one in configs.items()
    }
    both = np.add(took['student alone']['times'], took[f'{name} alone']['times'])
    rows = []
    for case in calls:
        low, ratio, high = quartiles(took[case]['times'], both)
        rows.append(
            dict(
                case=case,
                seconds=took[case]['seconds'],
                ratio=ratio,
                low=low,
                high=high,
                memory=memory[case] / memory['both, no method'],
                memory_mib=memory[case] / 2**20,
            )
        )
    return dict(config=config, shape=list(shape), rows=rows)


def show(out, found):
    """Prints what ``measure`` found, beside its goals."""
    show_table(
        out,
        f'Peers, EfficientNet-Lite0 and MiT-B0, batch {"x".join(map(str, found["shape"]))}',
        ['case', 'step', 'to the sum of both alone', '(25 to 75 %)', f'goal {GOAL}', 'peak memory', 'to no method'],
        [
            [
                r['case'],
                f'{1000 * r["seconds"]:.1f} ms',
                f'{r["ratio"]:.2f}',
                f'{r["low"]:.2f} to {r["high"]:.2f}',
                verdict(r['ratio'], GOAL) if 'CTCL' in r['case'] else None,
                f'{r["memory_mib"]:.0f} MiB',
                f'{r["memory"]:.2f}',
            ]
            for r in found['rows']
        ],
    )
