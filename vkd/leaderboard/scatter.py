"""Scores against costs as an SVG drawing, with the Pareto front."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def pareto(points: Sequence[tuple[float, float]], best_is_low: bool = False) -> list[int]:
    """Indices of ``[(cost, score)]`` that no other point beats: none costs less and is at least as good, or costs as much and is better;
    by rising cost. More is better, unless ``best_is_low``.
    """
    points = [(x, -y if best_is_low else y) for x, y in points]
    front, best = [], -math.inf
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if points[i][1] > best:
            front.append(i)
            best = points[i][1]
    return front


def scatter_layout(
    points: Sequence[Mapping[str, Any]],
    title: str,
    across: str,
    up: str,
    told: Callable[[float], str] = '{:.3g}'.format,
    width: int = 650,
    height: int = 300,
    best_is_low: bool = False,
) -> dict[str, Any] | None:
    """What the template draws: ``points`` are ``dict(x, y, half, label, kind)``, ``half`` the interval or None; axes named ``across`` and
    ``up``, numbers of the first as ``told`` writes them; x logarithmic where it spans more than 5 times. None for fewer than two points.
    """
    if len(points) < 2:
        return None
    xs, halves = [p['x'] for p in points], [p['half'] or 0 for p in points]
    # wide intervals of two seeds would press all scores together: an axis shows up to twice their spread beside them
    low, high = min(p['y'] for p in points), max(p['y'] for p in points)
    spread = max(high - low, 1e-3 * abs(high), 1e-6)
    low, high = (
        max(low - spread, min(p['y'] - h for p, h in zip(points, halves, strict=True))) - 0.05 * spread,
        min(high + spread, max(p['y'] + h for p, h in zip(points, halves, strict=True))) + 0.05 * spread,
    )
    bend = math.log if min(xs) > 0 and max(xs) > 5 * min(xs) else float
    first, last = bend(min(xs)), bend(max(xs))
    first, last = (first - 0.5, last + 0.5) if first == last else (first - 0.06 * (last - first), last + 0.06 * (last - first))
    left, right, top, bottom = 62, 225, 10, 40

    def at_x(x: float) -> float:
        return float(left + (bend(x) - first) / (last - first) * (width - left - right))

    def at_y(y: float) -> float:
        return float(top + (1 - (min(max(y, low), high) - low) / (high - low)) * (height - top - bottom))

    drawn = [
        dict(p, cx=at_x(p['x']), cy=at_y(p['y']), top=at_y(p['y'] + h), bottom=at_y(p['y'] - h), cut=p['y'] + h > high or p['y'] - h < low)
        for p, h in zip(points, halves, strict=True)
    ]
    for p, y in zip(sorted(drawn, key=lambda p: p['cy']), apart(sorted(p['cy'] for p in drawn), 13, top + 6, height - bottom), strict=True):
        p['text'] = y
    ticks = decades(*map(math.exp, (first, last))) if bend is math.log else round_ticks(first, last)
    front = [drawn[i] for i in pareto([(p['x'], p['y']) for p in points], best_is_low)]
    path = (
        ' '.join(
            f'{"M" if i == 0 else "L"}{p["cx"]:.1f},{front[max(i - 1, 0)]["cy"]:.1f} L{p["cx"]:.1f},{p["cy"]:.1f}'
            for i, p in enumerate(front)
        )
        + f' L{width - right + 4:.1f},{front[-1]["cy"]:.1f}'
    )
    up_ticks = [dict(y=at_y(t), text=f'{t:g}'.replace('-', '−')) for t in round_ticks(low, high)]
    return dict(
        title=title,
        across=across,
        up=up,
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        points=drawn,
        kinds={p['kind'] for p in points},
        front=path,
        on_front=[p['label'] for p in front],
        logarithmic=bend is math.log,
        x=[dict(x=at_x(t), text=told(t)) for t in ticks],
        y=up_ticks,
    )


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within ``low`` and ``high``: as many as fit into ``most``.

    >>> round_ticks(0.3, 9.7)
    [2.0, 4.0, 6.0, 8.0]
    """
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    steps = [power * k for k in (1, 2, 5, 10, 20, 50)]
    step = next(s for s in steps if math.floor(high / s) - math.ceil(low / s) < most)
    return [round(k * step, 10) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten within ``low`` and ``high``, both above 0; where they are many, some powers alone."""
    powers = [10.0**e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    ticks = [k * p for p in powers for k in (1, 2, 5) if low <= k * p <= high]
    if len(ticks) > 6:
        ticks = [p for p in powers if low <= p <= high]
    return ticks[:: math.ceil(len(ticks) / 6) or 1]


def apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """``places``, rising, moved as little as a sweep does, so that none is nearer than ``gap`` to the one before; within ``low`` and
    ``high`` where that fits.
    """
    out: list[float] = []
    for y in places:
        out.append(max(y, low, out[-1] + gap if out else low))
    for i in reversed(range(len(out))):
        limit = high if i == len(out) - 1 else out[i + 1] - gap
        out[i] = min(out[i], limit)
    return out
