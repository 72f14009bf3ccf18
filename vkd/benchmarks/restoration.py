"""Restoration: a step of distillation, MATLAB's imresize against Pillow's and scikit-image's, what evaluation spends on the network, and
the memory of tiles.
"""

import multiprocessing
import tempfile
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from PIL import Image

from .. import costs
from ..build import built as building
from ..datasets.demo_pictures import draw_picture
from ..evaluation.restoration import RestorationMetric
from ..io.console import show_table
from ..io.images import read_image, write_image
from ..models.restorers import IMDN, IMDN_RTC, Restorer
from ..physics.resize import imresize
from ..restore.images import restore_files
from . import quartiles, verdict

STEP_GOAL, SHARE_GOAL, MEMORY_GOAL = 1.05, 0.8, 1.1
METHODS = dict(
    OutputKD=dict(type='OutputKD'),
    FeatureKD=dict(type='FeatureKD', student='backbone.conv_after_body', teacher='backbone.conv_after_body'),
    FAKD=dict(type='FAKD', student='backbone.conv_after_body', teacher='backbone.conv_after_body', pool=2),
    WaveletKD=dict(type='WaveletKD'),
)


def measure(rounds, device, batch=4, patch=24, scale=4, images=5, size=(320, 480), sides=(1024, 4000)):
    """``dict(steps, resize, evaluation, tiles)``, see ``show``. ``sides`` are of images with three tiles of 256 a side or more, so that an
    inner tile, with overlap on all sides, is in each.
    """
    rounds = max(3, rounds // 3)
    return dict(
        steps=_steps(rounds, device, batch, patch, scale),
        resize=_resize(rounds, size, scale),
        evaluation=_evaluation(rounds, device, images, size, scale),
        tiles=_tiles(sides),
    )


def _steps(rounds, device, batch, patch, scale):
    student, teacher = (
        dict(type='vkd.Restorer', backbone=dict(type='IMDN', scale=scale, channels=32)),
        dict(type='vkd.Restorer', backbone=dict(type='EDSR', scale=scale)),
    )
    random, calls = torch.Generator().manual_seed(0), {}
    data = dict(
        inputs=[torch.randint(256, (3, patch, patch), generator=random, dtype=torch.uint8) for _ in range(batch)],
        data_samples=[
            BaseDataElement(gt_img=torch.randint(256, (3, patch * scale, patch * scale), generator=random, dtype=torch.uint8))
            for _ in range(batch)
        ],
    )
    for name, method in dict(alone=None, **METHODS).items():
        cfg = Config(
            dict(
                default_scope='mmseg',
                optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4)),
                model=dict(
                    type='vkd.Distiller', student=student, **(dict(teacher=teacher, methods=[method]) if method else dict(methods=[]))
                ),
            )
        )
        model = building.build(cfg, device)
        wrapper = building.optim(cfg, model)
        calls[name] = lambda model=model, wrapper=wrapper: model.train_step(data, wrapper)
    image = torch.rand(batch, 3, patch, patch, generator=random).to(device)

    @torch.no_grad()
    def teach():
        model.teachers['teacher'](image)

    took = costs.interleaved({**calls, 'teacher': teach}, rounds, device=device)
    base, rows = np.add(took['alone']['times'], took['teacher']['times']), []
    for name in METHODS:
        low, ratio, high = quartiles(took[name]['times'], base)
        rows.append(dict(method=name, seconds=took[name]['seconds'], ratio=ratio, low=low, high=high))
    return dict(shape=[batch, 3, patch, patch], rows=rows)


def _resize(rounds, size, scale):
    image = draw_picture(0, *size)
    small = size[0] // scale, size[1] // scale
    calls = dict(vkd=lambda: imresize(image, 1 / scale), Pillow=lambda: np.array(Image.fromarray(image).resize(small[::-1], Image.BICUBIC)))
    try:
        from skimage.transform import resize

        calls['scikit-image'] = lambda: resize(image, small, order=3, anti_aliasing=True)
    except ImportError:  # it is needed by the tests only
        pass
    return dict(
        size=list(size), scale=scale, seconds={name: took['seconds'] for name, took in costs.interleaved(calls, 3 * rounds).items()}
    )


def _evaluation(rounds, device, images, size, scale):
    restorer, metric = Restorer(IMDN(scale)).to(device).eval(), RestorationMetric(crop_border=scale)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f'{i}.png') for i in range(images)]
        for i, file in enumerate(files):
            write_image(file, draw_picture(i, *size))

        @torch.no_grad()
        def whole():
            start, inside = costs.clock(device), 0.0
            for file in files:
                truth = read_image(file)
                image, truth = (torch.from_numpy(x).permute(2, 0, 1).to(device) for x in (imresize(truth, 1 / scale), truth))
                begin = costs.clock(device)
                out = restorer(image[None] / 255)[0]
                inside += costs.clock(device) - begin
                metric.scores(out, truth)
            return dict(network=float(inside), total=float(costs.clock(device) - start))

        parts = costs.interleaved(dict(whole=whole), rounds, device=device)['whole']['parts']
    return dict(images=images, size=list(size), seconds=parts['total'], share=parts['network'] / parts['total'])


def _tile_peak(pipe, threads, source, out):
    torch.set_num_threads(threads)
    restorer = Restorer(IMDN_RTC(2, blocks=1)).eval()  # as much memory as five blocks, which follow each other, and a fraction of the time
    before = costs.resident_peak()
    restore_files(restorer, [source], out, progress=False)
    pipe.send(costs.resident_peak() - before)


def _tiles(sides):
    context, rows = multiprocessing.get_context('forkserver'), []
    for side in sides:  # a process each, because a peak never falls
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, 'in.png')
            write_image(source, np.full((side, side, 3), 128, np.uint8))
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_tile_peak, args=(theirs, torch.get_num_threads(), source, Path(folder, 'out')))
            process.start()
            theirs.close()
            rows.append(dict(side=side, memory_mib=ours.recv() / 2**20, image_mib=3 * side**2 / 2**20))
            process.join()
    first, last = (r['memory_mib'] - r['image_mib'] for r in (rows[0], rows[-1]))
    return dict(rows=rows, ratio=last / first)


def show(out, found):
    """Prints what ``measure`` found, beside its goals."""
    steps, resize, evaluation, tiles = (found[k] for k in ('steps', 'resize', 'evaluation', 'tiles'))
    show_table(
        out,
        f'Distillation between restorers, EDSR baseline to half an IMDN, batch {"x".join(map(str, steps["shape"]))}; a step to (student '
        f'alone + the teacher\'s forward), goal {STEP_GOAL}',
        ['method', 'step', 'ratio', '(25 to 75 %)', 'goal'],
        [
            [
                r['method'],
                f'{1000 * r["seconds"]:.0f} ms',
                f'{r["ratio"]:.2f}',
                f'{r["low"]:.2f} to {r["high"]:.2f}',
                verdict(r['ratio'], STEP_GOAL),
            ]
            for r in steps['rows']
        ],
    )
    out.print(
        f'Reducing {resize["size"][0]}x{resize["size"][1]} by {resize["scale"]}: '
        + ', '.join(f'{name} {1000 * s:.1f} ms' for name, s in resize['seconds'].items())
        + '; only the first is equal to MATLAB\'s.',
        markup=False,
    )
    out.print(
        f'Evaluation of {evaluation["images"]} images of {evaluation["size"][0]}x{evaluation["size"][1]} by IMDN: '
        f'{evaluation["share"]:.0%} of {evaluation["seconds"]:.2f} s in the network, goal {SHARE_GOAL:.0%}: '
        f'{"met" if evaluation["share"] >= SHARE_GOAL else "missed"}.',
        markup=False,
    )
    out.print(
        'Peak memory of restoring a file: '
        + ', '.join(
            f'{r["memory_mib"]:.0f} MiB at {r["side"]}x{r["side"]}, of which {r["image_mib"]:.0f} are the decoded image'
            for r in tiles['rows']
        )
        + f'; goal, the rest at the last to that at the first, {MEMORY_GOAL}: {verdict(tiles["ratio"], MEMORY_GOAL)}.',
        markup=False,
    )
