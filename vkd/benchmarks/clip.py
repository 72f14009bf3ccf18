"""The CLIP semantic head in inference, and the class token's teacher in training."""

import numpy as np
import torch
from mmengine.config import Config

from .. import costs
from ..build import built as building
from ..build.config import load_config
from ..io.console import show_table
from ..models.heads.clip_semantic import ClipSemanticHead, set_text
from ..text.embeddings import synthetic_embeddings
from . import CONFIGS, quartiles


def measure(rounds, device, shape=(2, 3, 128, 128)):
    """What CLIP costs a SegFormer-B0 (random weights, ViT-B/16): inference with the head of k frozen blocks to the body with its own
    classifier, and the training step with the class token's teacher to the step without it plus the teacher's forward alone.
    """
    rounds = max(3, rounds // 2)
    name, classes, unseen = 'ViT-B-16-quickgelu', 20, [18, 19]
    body = load_config(CONFIGS / '_base_/models/mit-b0.py').student.to_dict()
    body['decode_head'].update(num_classes=classes)
    rows = dict(embeddings=synthetic_embeddings([f'class {i}' for i in range(classes)], 512))
    tower = dict(
        load_config(CONFIGS / '_base_/teachers/clip_vit-b-16.py').teacher.to_dict(),
        model=dict(type='vkd.ClipImageTower', name=name, random=True),
    )

    def semantic(k):
        return dict(
            body,
            decode_head=dict(
                type='vkd.ClipSemanticHead',
                inner=body['decode_head'],
                num_classes=classes,
                unseen=unseen,
                clip=dict(name=name, random=True),
                num_blocks=k,
                max_tokens=1024,
            ),
        )

    def made(student, **more):
        cfg = Config(
            dict(
                default_scope='mmseg',
                optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4)),
                model=dict(dict(type='vkd.Distiller', student=student, methods=[]), **more),
            )
        )
        model = building.build(cfg, device)
        if isinstance(model.student.decode_head, ClipSemanticHead):
            set_text(model.student, **rows, unseen=[f'class {i}' for i in unseen])
        return model, building.optim(cfg, model)

    models = {'body': made(body), **{f'k={k}': made(semantic(k)) for k in (0, 1, 2)}}
    batch = building.synthetic_batch(shape, classes - len(unseen))
    plain = models['body'][0]
    with torch.no_grad():
        image = plain.data_preprocessor(batch, True)['inputs']

    @torch.no_grad()
    def infer(model):
        model.student.eval()(image)

    took = costs.interleaved({n: (lambda m=m: infer(m)) for n, (m, _) in models.items()}, rounds, device=device)
    inference = [dict(case=n, seconds=t['seconds'], ratio=t['ratio'], low=t['low'], high=t['high']) for n, t in took.items()]
    taught, wrapper = made(semantic(0), teacher=tower, methods=[dict(type='ChimeraSeg')])
    role = taught.roles['teacher']

    @torch.no_grad()
    def teach():
        role.module(role.input(image))

    alone, own = models['k=0']
    took = costs.interleaved(
        {'without': lambda: alone.train().train_step(batch, own), 'teacher': teach, 'with': lambda: taught.train_step(batch, wrapper)},
        rounds,
        device=device,
    )
    low, ratio, high = quartiles(took['with']['times'], np.add(took['without']['times'], took['teacher']['times']))
    return dict(
        shape=list(shape),
        inference=inference,
        step=dict(
            without=took['without']['seconds'],
            teacher=took['teacher']['seconds'],
            taught=took['with']['seconds'],
            ratio=ratio,
            low=low,
            high=high,
        ),
    )


def show(out, found):
    """Prints what ``measure`` found, beside its goals."""
    show_table(
        out,
        f'CLIP semantic head on SegFormer-B0, ViT-B/16 without weights, batch {"x".join(map(str, found["shape"]))}, inference',
        ['case', 'a batch', 'to the body', '(25 to 75 %)'],
        [
            [r['case'], f'{1000 * r["seconds"]:.0f} ms', f'{r["ratio"]:.2f}', f'{r["low"]:.2f} to {r["high"]:.2f}']
            for r in found['inference']
        ],
    )
    step = found['step']
    out.print(
        f'A training step with the class token\'s teacher takes {step["ratio"]:.2f} ({step["low"]:.2f} to {step["high"]:.2f}) of the step '
        'without it and the teacher\'s forward together '
        f'({1000 * step["without"]:.0f} and {1000 * step["teacher"]:.0f} ms).'
    )
