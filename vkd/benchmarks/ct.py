"""Sparse-view CT: the projector and filtered back-projection against scikit-image and deepinv, what simulation costs of a training step,
and what deployment saves.
"""

import math
import tempfile

import numpy as np
import torch
from mmengine.config import Config

from .. import costs
from ..build import built as building
from ..datasets.demo_phantoms import draw_phantom
from ..io.console import show_table
from ..physics.fan_beam import Geometry, fbp, project
from ..physics.hounsfield import hu_to_mu
from . import verdict

PARALLEL_GOAL, DEEPINV_GOAL = 1.0, 0.1
ROLE = dict(trainable=True, ema={'backbone.decoder': 'backbone.decoder'}, ema_buffers=False, momentum=0.0, start='student', view='dense')


def measure(rounds, device, sizes=(256, 512), views=(18, 36, 72, 144, 720), slow=72, side=128, width=16, blocks=(4, 1), batch=4):
    """``dict(physics, step, inference)``, see ``show``. ``slow``: deepinv is not asked for more views, of which it keeps all grids.
    ``side``, ``width``, ``blocks`` and ``batch`` are of the training step.
    """
    rounds = max(3, rounds // 5)
    return dict(
        physics=[_physics(rounds, device, size, v, slow) for size in sizes for v in views],
        step=_step(rounds, device, side, width, blocks, batch),
        inference=_inference(rounds, device, side, width, blocks),
    )


def _error(image, truth):
    """RMSE in the middle disc, over the greatest value of the truth."""
    n = truth.shape[-1]
    inside = np.hypot(*np.mgrid[0.5 - n / 2 : n / 2, 0.5 - n / 2 : n / 2]) < 0.4 * n
    return float(np.sqrt(np.mean((np.asarray(image, np.float64) - truth)[inside] ** 2)) / truth.max())


def _physics(rounds, device, size, views, slow):
    truth = (
        hu_to_mu(draw_phantom(0, size)).astype(np.float32)
        if size <= 256
        else np.kron(hu_to_mu(draw_phantom(0, size // 2)), np.ones((2, 2))).astype(np.float32)
    )
    x = torch.from_numpy(truth)[None, None].to(device)
    geometry = Geometry(size=size, views=views, truncated=True)
    sinogram = project(x, geometry)
    forward, back, error = (
        dict(fan=lambda: project(x, geometry)),
        dict(fan=lambda: fbp(sinogram, geometry, 'textbook')),
        dict(fan=_error(fbp(sinogram, geometry, 'textbook')[0, 0].cpu(), truth)),
    )
    try:
        from skimage.transform import iradon, radon

        degrees = np.arange(views) * (180 / views)
        lines = radon(truth, degrees, circle=True)
        forward['scikit-image'], back['scikit-image'] = (
            lambda: radon(truth, degrees, circle=True),
            lambda: iradon(lines, degrees, circle=True),
        )
        error['scikit-image'] = _error(back['scikit-image'](), truth)
    except ImportError:  # it is needed by the tests only
        pass
    if views <= slow:
        try:
            import deepinv

            theirs = deepinv.physics.Tomography(
                angles=torch.arange(views, device=device) * (360 / views),
                img_width=size,
                circle=False,
                normalize=False,
                fan_beam=True,
                device=device,
                fan_parameters=dict(
                    pixel_spacing=1.0, source_radius=1075.0, detector_radius=1075.0, n_detector_pixels=672, detector_spacing=2.0
                ),
            )
            seen = theirs.A(x)
            forward['deepinv'], back['deepinv'], error['deepinv'] = (
                lambda: theirs.A(x),
                lambda: theirs.fbp(seen),
                _error(theirs.fbp(seen)[0, 0].cpu(), truth),
            )
        except ImportError:  # likewise
            pass
    seconds = {
        what: {name: took['seconds'] for name, took in costs.interleaved(calls, rounds, device=device).items()}
        for what, calls in (('forward', forward), ('back', back))
    }
    return dict(size=size, views=views, **seconds, error=error)


def _slices(side, batch):
    return dict(inputs=[torch.from_numpy(hu_to_mu(draw_phantom((0, i), side)))[None] for i in range(batch)])


def _model(side, width, blocks, cache=None):
    scanner = dict(
        type='vkd.SparseViewCTPreprocessor',
        geometry=dict(size=side, views=720, bins=math.ceil(336 * side / 128), source=537.5 * side / 128, pixel_cm=40.96 / side),
        views=36,
        teacher_views=72,
        cache=cache,
    )
    student = dict(type='vkd.Restorer', backbone=dict(type='GloReNet', width=width, blocks=blocks), pixel_loss='smooth_l1', truth_peak=1)
    adam = dict(optimizer=dict(type='Adam', lr=1e-4))
    return Config(
        dict(
            default_scope='mmseg',
            optim_wrapper=dict(constructor='vkd.PerRole', student=adam, teacher=adam),
            model=dict(
                type='vkd.Distiller',
                student=student,
                teacher=dict(ROLE, model=student),
                methods=[dict(type='GloReDi', memory_size=8)],
                probe_shape=(1, 64, 64),
                data_preprocessor=scanner,
            ),
        )
    )


def _step(rounds, device, side, width, blocks, batch):
    from mmengine.structures import BaseDataElement

    with tempfile.TemporaryDirectory() as folder:
        calls = {}
        for name, cache in (('without cache', None), ('with cache', folder)):
            cfg = _model(side, width, blocks, cache)
            model = building.build(cfg, device)
            wrapper, data = building.optim(cfg, model), _slices(side, batch)

            def step(model=model, wrapper=wrapper, data=data):
                start = costs.clock(device)
                model.data_preprocessor(dict(data), True)
                simulated = costs.clock(device) - start
                model.train_step(dict(data, data_samples=[BaseDataElement() for _ in data['inputs']]), wrapper)
                return dict(simulation=float(simulated), step=float(costs.clock(device) - start - simulated))

            calls[name] = step
        took = costs.interleaved(calls, rounds, device=device)
    return dict(
        side=side,
        batch=batch,
        rows=[
            dict(
                case=name,
                simulation=own['parts']['simulation'],
                step=own['parts']['step'],
                share=own['parts']['simulation'] / own['parts']['step'],
            )
            for name, own in took.items()
        ],
    )


def _inference(rounds, device, side, width, blocks):
    from mmengine.structures import BaseDataElement

    cfg = _model(side, width, blocks)
    model = building.build(cfg, device)
    samples = [BaseDataElement() for _ in range(2)]
    data = model.data_preprocessor(dict(_slices(side, 2), data_samples=samples), True)
    x = data['inputs']['student']

    @torch.no_grad()
    def student():
        model.student.eval()
        model.student(x)
        model.student.train()

    took = costs.interleaved(dict(student=student, graph=lambda: model(**data, mode='loss')), rounds, device=device)
    return dict(
        side=side,
        student=took['student']['seconds'],
        graph=took['graph']['seconds'],
        ratio=took['student']['seconds'] / took['graph']['seconds'],
    )


def show(out, found):
    """Prints what ``measure`` found, beside its goals."""

    def told(seconds):
        return ', '.join(f'{name} {1000 * s:.0f}' for name, s in seconds.items())

    def goals(back):
        others = (('scikit-image', PARALLEL_GOAL), ('deepinv', DEEPINV_GOAL))
        return ', '.join(
            f'{back["fan"] / back[name]:.2f} of {name}: {verdict(back["fan"] / back[name], goal)}' for name, goal in others if name in back
        )

    show_table(
        out,
        f'One slice, ms; "fan" is vkd\'s, scikit-image\'s rays are parallel. FBP of the fan to others, goals {PARALLEL_GOAL} of '
        f'scikit-image and {DEEPINV_GOAL} of deepinv; error: RMSE over the peak',
        ['size', 'views', 'projection', 'FBP', 'ratio', 'error'],
        [
            [
                r['size'],
                r['views'],
                told(r['forward']),
                told(r['back']),
                goals(r['back']),
                ', '.join(f'{name} {e:.3f}' for name, e in r['error'].items()),
            ]
            for r in found['physics']
        ],
    )
    step = found['step']
    for r in step['rows']:
        out.print(
            f'GloReDi, batch {step["batch"]} of {step["side"]}x{step["side"]}, 36 and 72 of 720 views, {r["case"]}: simulation '
            f'{1000 * r["simulation"]:.0f} ms, {r["share"]:.0%} of a step.',
            markup=False,
        )
    own = found['inference']
    out.print(
        f'The student alone at {own["side"]}x{own["side"]}: {own["ratio"]:.0%} of the forward pass of the training graph.', markup=False
    )
