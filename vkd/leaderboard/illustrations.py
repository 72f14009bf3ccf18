"""Pictures and curves of a page of results."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from ..evaluation.scores import Score
from .reading import read_curve
from .records import Row, RunFacts
from .scatter import round_ticks
from .words import named

#: Okabe and Ito's colours, which colour-blind readers can tell apart
COLOURS = ('#999999', '#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8a6d3b', '#7f5fc9')


def illustrated(section: dict[str, Any], runs: Sequence[RunFacts], score: Score) -> dict[str, Any]:
    """A section of ``by_protocol`` with ``gallery``, ``palette`` and ``curves``, from the folders of ``runs``; of external ones there are
    none.
    """
    own, by_name = [row for row in section['rows'] if not row.external], {run.run: run for run in runs}
    students = list(dict.fromkeys(row.student for row in own if row.role == 'student'))
    most = 3 if len(students) == 1 else 2
    galleries = [gallery([row for row in own if row.student == student], runs, score, most) for student in students]
    drawn = []
    for student in students:
        curves = [
            (named(row), COLOURS[i % len(COLOURS)], [read_curve(by_name[run.run], score.name) for run in row.runs])
            for i, row in enumerate(x for x in own if x.student == student and x.role == 'student')
        ]
        of_score = f'{score.name} on validation images{f", {score.unit}" if score.unit not in ("", "%") else ""}'
        for key, what in (('loss', 'training loss of the task, smoothed'), (score.name, of_score)):
            svg = curve_layout([(label, colour, [c[key] for c in seeds]) for label, colour, seeds in curves], key)
            if svg:
                drawn.append(dict(svg, title=f'{student}: {what}', legend=[(label, colour) for label, colour, _ in curves]))
    return dict(
        section, gallery=[row for rows, _ in galleries for row in rows], palette=next((c for _, c in galleries if c), []), curves=drawn
    )


def gallery(
    rows: Sequence[Row], runs: Sequence[RunFacts], score: Score, limit: int = 3
) -> tuple[list[list[dict[str, str]]], list[dict[str, str]]]:
    """Rows of pictures: image, truth, student alone, the method with the best mean, and where those two differ in being right.

    Returns ``(list of lists of dict(src, title, alt), classes with their colours)``; empty where pictures are missing or do not belong
    together.
    """
    by_name = {run.run: run for run in runs}

    def first(row: Row | None) -> dict[str, Any] | None:
        return _load_pictures(by_name[row.done[0].run]) if row and row.done else None

    known = [row for row in rows if row.role == 'student' and row.mean is not None]
    alone = next((row for row in known if row.alone and row.budget == 1), None)
    distilled = [row for row in known if alone and row.compared and row.student == alone.student]
    best = max(distilled, key=lambda row: score.sign * (row.mean or 0.0), default=None)
    a, b = first(alone), first(best)
    if (
        alone is None
        or best is None
        or not a
        or not b
        or a['image'].shape != b['image'].shape
        or not np.array_equal(a['truth'], b['truth'])
    ):
        return [], []
    if 'palette' not in a:  # images were restored
        shown = [
            (str(a.get('image_name', 'bicubic')), a['image']),
            ('truth', a['truth']),
            (f'{alone.student} alone', a['pred']),
            (f'{best.student} + {best.method}', b['pred']),
            ('difference', nearer(a, b)),
        ]
        return [pictured(i, [(_png(images[i]), title) for title, images in shown]) for i in range(min(limit, len(a['image'])))], []
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(a['palette'])] = a['palette']
    out = []
    for i, (image, truth, one, two) in list(enumerate(zip(a['image'], a['truth'], a['pred'], b['pred'], strict=False)))[:limit]:
        counted = truth != 255
        difference = np.full((*truth.shape, 3), 128, np.uint8)
        difference[counted & (one == truth) & (two != truth)] = (213, 94, 0)
        difference[counted & (one != truth) & (two == truth)] = (0, 114, 178)
        difference[~counted] = 90
        out.append(
            pictured(
                i,
                [
                    (_jpeg(image), 'image'),
                    (_png(palette[truth]), 'truth'),
                    (_png(palette[one]), f'{alone.student} alone'),
                    (_png(palette[two]), f'{best.student} + {best.method}'),
                    (_png(difference), 'difference'),
                ],
            )
        )
    classes = [dict(name=n, colour='#' + ''.join(f'{int(v):02x}' for v in c)) for n, c in zip(alone.classes, a['palette'], strict=False)]
    return out, classes


def pictured(i: int, shown: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """A row of the gallery, ``[dict(src, title, alt)]`` of ``[(src, title)]``: image, truth, two networks', difference."""
    titles = [title for _, title in shown]
    what = {title: f'what {title} predicts' for title in titles[2:4]}
    what.update(truth='the truth', difference=f'where {titles[2]} and {titles[3]} differ in being right')
    return [dict(src=src, title=title, alt=f'Test image {i + 1}: {what.get(title, title)}') for src, title in shown]


def nearer(alone: Mapping[str, np.ndarray], distilled: Mapping[str, np.ndarray], tolerance: float = 2) -> np.ndarray:
    """Where the distilled student's image is nearer to the truth than the student's alone by more than ``tolerance`` grey levels (blue),
    and where it is farther (orange); ``[N, H, W, 3]``.
    """
    truth = alone['truth'].astype(float)
    gain = (np.abs(alone['pred'] - truth) - np.abs(distilled['pred'] - truth)).mean(-1)
    out = np.full(truth.shape, 128, np.uint8)
    out[gain > tolerance], out[gain < -tolerance] = (0, 114, 178), (213, 94, 0)
    return out


def _load_pictures(run: RunFacts) -> dict[str, Any] | None:
    network = run.network
    if run.folder is None or not (file := run.folder / 'pictures.npz').is_file():
        return None
    with np.load(file, allow_pickle=False) as content:
        found = {k: content[k] for k in content.files}
    return {**found, 'pred': found.get(f'pred_{network}', found['pred'])}


def _png(array: np.ndarray) -> str:
    if array.ndim == 3 and (array == array[..., :1]).all():  # slices of CT: one channel of three alike
        array = array[..., 0]
    file = io.BytesIO()
    Image.fromarray(array).save(file, 'PNG', optimize=True)
    return 'data:image/png;base64,' + base64.b64encode(file.getvalue()).decode()


def _jpeg(array: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(array).save(file, 'JPEG', quality=85)
    return 'data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode()


def curve_layout(
    curves: Sequence[tuple[str, str, Sequence[Mapping[int, float]]]], key: str, width: int = 560, height: int = 240
) -> dict[str, Any] | None:
    """``drawing`` of ``[(label, colour, [dict of step: value, one a seed])]``; None where nothing was logged at two steps."""
    if len({s for _, _, seeds in curves for seed in seeds for s in seed}) < 2:
        return None
    window = 9 if key == 'loss' else 1
    lines = [(label, colour, _thin(_smooth(sorted(seed.items()), window))) for label, colour, seeds in curves for seed in seeds if seed]
    return drawing(lines, key, width, height)


def drawing(
    lines: Sequence[tuple[str, str, Sequence[tuple[float, float]]]], key: str, width: int = 560, height: int = 240
) -> dict[str, Any]:
    """``[(label, colour, [(step, value)])]`` as an SVG drawing; a few steps, as of evaluations, are dots and ticks."""
    xs, ys = (np.array([pair[k] for _, _, pairs in lines for pair in pairs], float) for k in (0, 1))
    low, high = float(ys.min()), float(np.quantile(ys, 0.99) if key == 'loss' else ys.max())
    high, steps = high if high > low else low + 1, sorted(set(xs))
    few = len(steps) <= 8
    left, right, top, bottom = 46, 8, 8, 30

    def at_x(step: float) -> float:
        return float(left + (step - xs.min()) / (xs.max() - xs.min()) * (width - left - right))

    def at_y(value: float) -> float:
        return top + (1 - (min(value, high) - low) / (high - low)) * (height - top - bottom)

    values = [low + (high - low) * k / 4 for k in range(5)]
    texts = [f'{v:.3g}' if not 0 < abs(v) < 1e-3 else f'{v:.1e}'.replace('e-0', 'e-') for v in values]  # six letters fit
    parts = [dict(y=round(at_y(v), 1), text=text) for v, text in zip(values, texts, strict=True)]
    ticks = [dict(x=round(at_x(s), 1), text=f'{s:g}') for s in (steps if few else round_ticks(xs.min(), xs.max()))]
    drawn = [
        dict(colour=colour, label=label, points=' '.join(f'{at_x(s):.1f},{at_y(v):.1f}' for s, v in pairs))
        for label, colour, pairs in lines
    ]
    return dict(
        width=width,
        height=height,
        left=left,
        right=right,
        bottom=bottom,
        y=parts,
        x=ticks,
        lines=drawn,
        dots=few and key != 'loss',
        key=key,
    )


def _smooth(pairs: Sequence[tuple[float, float]], window: int) -> list[tuple[float, float]]:
    values = np.array([v for _, v in pairs])
    half = window // 2
    return [(s, float(values[max(0, i - half) : i + half + 1].mean())) for i, (s, _) in enumerate(pairs)]


def _thin(pairs: list[tuple[float, float]], most: int = 150) -> list[tuple[float, float]]:
    step = max(1, len(pairs) // most)
    return [p for i, p in enumerate(pairs) if i % step == 0 or i == len(pairs) - 1]
