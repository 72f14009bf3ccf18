"""Counting one image for the metric, against mmseg's own."""

import torch

from .. import costs
from ..errors import UserError
from ..evaluation.segmentation import confusion_counts

GOAL = 4.0


def measure(rounds, device, shape=(1024, 2048), classes=19):
    """Seconds of vkd's confusion counts, of mmseg's three histograms, and their ratio; the counts must agree."""
    from mmseg.evaluation.metrics import IoUMetric

    random = torch.Generator().manual_seed(0)

    def regions(cell):  # maps are made of regions, not of noise
        return (
            torch.randint(classes, (shape[0] // cell, shape[1] // cell), generator=random)
            .repeat_interleave(cell, 0)
            .repeat_interleave(cell, 1)
        )

    label, pred = regions(32), regions(16)
    label[torch.rand(label.shape, generator=random) < 0.1] = 255
    label, pred = label.to(device), pred.to(device)
    ours, theirs = confusion_counts(pred, label, classes).cpu(), IoUMetric.intersect_and_union(pred, label, classes, 255)
    agree = (
        torch.equal(ours.diagonal().float(), theirs[0])
        and torch.equal(ours.sum(0).float(), theirs[2])
        and torch.equal(ours.sum(1).float(), theirs[3])
    )
    if not agree:
        raise UserError("vkd's counts differ from mmseg's; this is a bug: please report it.")
    took = costs.interleaved(
        dict(vkd=lambda: confusion_counts(pred, label, classes), mmseg=lambda: IoUMetric.intersect_and_union(pred, label, classes, 255)),
        rounds,
        device=device,
    )
    return dict(
        shape=list(shape),
        classes=classes,
        vkd_seconds=took['vkd']['seconds'],
        mmseg_seconds=took['mmseg']['seconds'],
        ratio=took['mmseg']['ratio'],
        low=took['mmseg']['low'],
        high=took['mmseg']['high'],
    )


def show(out, found):
    """Prints what ``measure`` found, beside its goals."""
    out.print(
        f'Counting {found["shape"][0]}x{found["shape"][1]}, {found["classes"]} classes: vkd {1000 * found["vkd_seconds"]:.1f} ms, mmseg '
        f'{1000 * found["mmseg_seconds"]:.1f} ms; '
        f'{found["ratio"]:.1f} times ({found["low"]:.1f} to {found["high"]:.1f}) as fast, goal {GOAL:.0f}: '
        f'{"met" if found["ratio"] >= GOAL else "missed"}.',
        markup=False,
    )
