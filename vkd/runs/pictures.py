"""A few test images as a run leaves them for the leaderboard: what was seen, the truth, what was answered."""

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate

from ..physics.hounsfield import WINDOWS, mu_to_hu, window
from ..physics.resize import imresize


def pictures(runner, count=3, width=240):
    """A few test images, evenly spaced: ``dict(image [N,h,w,3] RGB, truth [N,h,w], pred [N,h,w], palette [K,3])``, uint8; None without
    label maps.

    Of a Distiller with peers also ``pred_<role> [N,h,w]``, and ``pred_ensemble``.
    """
    dataset, model = runner.test_loop.dataloader.dataset, runner.model
    facts = getattr(dataset, 'metainfo', None) or {}
    palette = facts.get('palette')
    if facts.get('task_name') == 'ct':
        return slice_pictures(dataset, model, count, width)
    if not palette:
        return restored_pictures(dataset, model, count, width)
    out = dict(image=[], truth=[], pred=[])
    model.eval()
    for i in ((2 * k + 1) * len(dataset) // (2 * count) for k in range(min(count, len(dataset)))):
        batch = pseudo_collate([dataset[i]])
        image = batch['inputs'][0].permute(1, 2, 0).numpy()[..., ::-1]
        sample = model.test_step(batch)[0]
        if 'gt_sem_seg' not in sample:
            return None
        size = width, round(width * image.shape[0] / image.shape[1])
        out['image'].append(
            cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA if image.shape[1] > width else cv2.INTER_NEAREST)
        )
        predicted = {f'pred{k.removeprefix("pred_sem_seg")}': sample.get(k) for k in sample.all_keys() if k.startswith('pred_sem_seg')}
        for key, found in {'truth': sample.gt_sem_seg, **predicted}.items():
            out.setdefault(key, []).append(cv2.resize(found.data[0].cpu().numpy().astype(np.uint8), size, interpolation=cv2.INTER_NEAREST))
    if len({x.shape for x in out['image']}) > 1:
        return None
    return {**{k: np.stack(v) for k, v in out.items()}, 'palette': np.array(palette, np.uint8)}


@torch.no_grad()
def restored_pictures(dataset, model, count=3, width=240, side=64):
    """Of a few test images of restoration, evenly spaced, the square of ``side`` pixels with the most detail, enlarged without smoothing:
    ``dict(image, truth, pred)``, RGB uint8 ``[N, width, width, 3]``.

    ``image`` is the input enlarged bicubically. None for a data set without truths.
    """
    if not len(dataset) or 'gt_img' not in (dataset[0].get('data_samples') or ()):
        return None
    out = dict(image=[], truth=[], pred=[])
    model.eval()
    for i in dict.fromkeys((2 * k + 1) * len(dataset) // (2 * count) for k in range(min(count, len(dataset)))):
        batch = pseudo_collate([dataset[i]])
        sample = model.test_step(batch)[0]
        truth, pred, seen = (x.float().permute(1, 2, 0).cpu().numpy() for x in (sample.gt_img, 255 * sample.pred_img, batch['inputs'][0]))
        seen = imresize(seen, size=truth.shape[:2])
        small = min(side, *truth.shape[:2])
        detail = np.add(*(np.abs(d) for d in np.gradient(truth.mean(2))))
        places = [
            (y, x)
            for y in range(0, truth.shape[0] - small + 1, max(small // 2, 1))
            for x in range(0, truth.shape[1] - small + 1, max(small // 2, 1))
        ]
        y, x = max(places, key=lambda at: detail[at[0] : at[0] + small, at[1] : at[1] + small].sum())
        for key, image in dict(image=seen, truth=truth, pred=pred).items():
            own = np.clip(np.round(image[y : y + small, x : x + small]), 0, 255).astype(np.uint8)
            out[key].append(cv2.resize(own, (width, width), interpolation=cv2.INTER_NEAREST))
    return {k: np.stack(v) for k, v in out.items()}


@torch.no_grad()
def slice_pictures(dataset, model, count=3, width=240, shown=WINDOWS[1]):
    """Of a few test slices, evenly spaced, one window in grey: ``dict(image, truth, pred)``, RGB uint8 ``[N, width, width, 3]``, and
    ``image_name``, how many views the input is of.
    """
    out = dict(image=[], truth=[], pred=[])
    model.eval()
    for i in dict.fromkeys((2 * k + 1) * len(dataset) // (2 * count) for k in range(min(count, len(dataset)))):
        batch = model.data_preprocessor(pseudo_collate([dataset[i]]), False)
        sample = model(**batch, mode='predict')[0]
        for key, mu in dict(image=batch['inputs'][0], truth=sample.gt_img, pred=sample.pred_img).items():
            grey = (255 * window(mu_to_hu(mu[0].float()), *shown)).round().to(torch.uint8).cpu().numpy()
            out[key].append(cv2.resize(grey, (width, width), interpolation=cv2.INTER_CUBIC)[..., None].repeat(3, 2))
    return {**{k: np.stack(v) for k, v in out.items()}, 'image_name': np.array(f'{model.data_preprocessor.sparse.views} views')}
