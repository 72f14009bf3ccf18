"""GKD: a stage of representation learning, what keeping a frozen encoder's features saves, and the query heads' own share."""

import numpy as np
import torch
from mmengine.config import Config

from .. import costs
from ..build import built as building
from ..build.config import load_config
from ..engine import FeatureCache
from ..io.console import show_table
from ..methods.gkd import QuerySoftDistillation, token_loss
from . import CONFIGS, quartiles, verdict

GOAL, TOKENS = 1.10, 1024


def measure(rounds, device, shape=(8, 3, 160, 160)):
    """``dict(stage1, stage2, heads)``: the step of stage 1 to (two passes of the student with their gradients + a forward of the teacher);
    a step of the decoder on the frozen encoder to one with vkd.FeatureCache that has its views already; forward and backward of one query
    head at 1024 tokens, plain and fused, and peak memory of a whole step with either.
    """
    rounds = max(3, rounds // 2)
    first = load_config(CONFIGS / 'gkd/gkd_deit-ti_vit-s_stage1b_camvid-160x160.py')
    first.model.teacher.pop('init_cfg')
    model = building.build(first, device)
    wrapper, batch = building.optim(first, model), building.synthetic_batch(shape, 11)
    with torch.no_grad():
        image = model.data_preprocessor(batch, True)['inputs']

    def two_passes():
        for _ in range(2):
            patches = model.student(image)[1]
            patches.square().mean().backward()
        model.zero_grad(set_to_none=True)

    @torch.no_grad()
    def teach():
        model.teachers['teacher'](image)

    took = costs.interleaved(dict(step=lambda: model.train_step(batch, wrapper), passes=two_passes, teacher=teach), rounds, device=device)
    low, ratio, high = quartiles(took['step']['times'], np.add(took['passes']['times'], took['teacher']['times']))
    stage1 = dict(shape=list(shape), seconds=took['step']['seconds'], ratio=ratio, low=low, high=high)
    return dict(stage1=stage1, stage2=_stage2(rounds, device), heads=_heads(rounds, device))


def _stage2(rounds, device, shape=(8, 3, 160, 160)):
    cfg = load_config(CONFIGS / 'gkd/alone_deit-ti-gkd_domains_camvid-domains-160x160.py')
    cfg.model.student.backbone.pop('init_cfg')
    model = building.build(cfg, device)
    wrapper, batch = building.optim(cfg, model), building.synthetic_batch(shape, 11)
    cache = FeatureCache()
    cache.attach(model)

    def cached():
        cache.before_train_iter(None, 0, batch)
        model.train_step(batch, wrapper)
        cache.after_train_iter(None, 0)

    took = costs.interleaved(dict(encoded=lambda: model.train_step(batch, wrapper), cached=cached), rounds, device=device)
    low, ratio, high = quartiles(took['encoded']['times'], took['cached']['times'])
    return dict(shape=list(shape), seconds=took['encoded']['seconds'], ratio=ratio, low=low, high=high)


def _heads(rounds, device):
    random = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, TOKENS, c, generator=random).to(device) for c in (192, 384))
    plain = QuerySoftDistillation(192, 384).to(device)
    fused = QuerySoftDistillation(192, 384, fused=True).to(device)
    fused.load_state_dict(plain.state_dict())
    with torch.no_grad():
        difference = (plain(student, teacher) - fused(student, teacher)).abs().max().item()

    def run(head):
        x = student.clone().requires_grad_()
        token_loss(head(x, teacher), teacher).backward()
        head.zero_grad(set_to_none=True)

    took = costs.interleaved(dict(plain=lambda: run(plain), fused=lambda: run(fused)), rounds, device=device)
    net = load_config(CONFIGS / 'gkd/gkd_deit-ti_vit-s_stage1b_camvid-160x160.py').model.to_dict()
    net['teacher'].pop('init_cfg')
    side, rows = round(TOKENS**0.5) * 16, []
    net['student']['img_size'] = net['teacher']['img_size'] = side
    net['data_preprocessor']['size'] = (side, side)
    whole = Config(dict(model=net)).model.to_dict()
    for name in took:
        method = dict(whole['methods'][0], fused=name == 'fused')
        memory = costs.peak_memory(
            dict(whole, methods=[method]), dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4)), (2, 3, side, side), 11, device
        )
        rows.append(
            dict(
                case=name,
                seconds=took[name]['seconds'],
                ratio=took[name]['ratio'],
                low=took[name]['low'],
                high=took[name]['high'],
                memory_mib=memory / 2**20,
            )
        )
    return dict(tokens=TOKENS, difference=difference, rows=rows)


def show(out, found):
    """Prints what ``measure`` found, beside its goals."""
    one, two, heads = found['stage1'], found['stage2'], found['heads']
    out.print(
        f'GKD, DeiT-S to DeiT-Ti, batch {"x".join(map(str, one["shape"]))}: a step of stage 1 takes {one["ratio"]:.2f} ({one["low"]:.2f} '
        f'to {one["high"]:.2f}) of two passes of the student with their '
        f'gradients and a forward of the teacher, goal {GOAL}: {verdict(one["ratio"], GOAL)}.'
    )
    out.print(
        f'A step of stage 2 takes {two["ratio"]:.1f} ({two["low"]:.1f} to {two["high"]:.1f}) of one whose features vkd.FeatureCache holds.'
    )
    show_table(
        out,
        f'A query head at {heads["tokens"]} tokens, forward and backward, batch of 2 (largest difference of both '
        f'{heads["difference"]:.1e})',
        ['attention', 'time', 'to plain', '(25 to 75 %)', 'memory of a whole step'],
        [
            [
                r['case'],
                f'{1000 * r["seconds"]:.0f} ms',
                f'{r["ratio"]:.2f}',
                f'{r["low"]:.2f} to {r["high"]:.2f}',
                f'{r["memory_mib"]:.0f} MiB',
            ]
            for r in heads['rows']
        ],
    )
