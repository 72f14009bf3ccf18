"""What the scores of one board say: each method against the student alone, methods among each other, and both at equal cost.

The analysis is fixed before any run. The scores of a board follow an additive model, score = method + seed + error: a randomised complete
block design, in which the seeds are the blocks, since an equal seed fixes the initial weights and the order of the data of every method.
With r rows (the student alone and k = r - 1 methods), n seeds and the residuals e_ij = y_ij - mean_i - mean_j + mean,

    s^2 = sum e_ij^2 / ((r - 1)(n - 1)),    half width of a gain = c s sqrt(2 / n),

where c is Dunnett's critical value. ``analyse`` says when Welch's interval stands in its place. Run as a program, this module prints what
the rule does on simulated boards, and how many seeds a gain needs.

Sources: C. W. Dunnett, A multiple comparison procedure for comparing several treatments with a control, JASA 50 (1955) 1096-1121, and New
tables for multiple comparisons with a control, Biometrics 20 (1964) 482-491; J. C. Hsu, Multiple Comparisons (1996), chapters 3, 5 and 7
(blocks); B. L. Welch, Biometrika 34 (1947) 28-35; F. E. Satterthwaite, Biometrics Bulletin 2 (1946) 110-114.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import TypeVar

import numpy as np
from scipy import special  # scipy.stats and scipy.optimize take long to import: where they are used

from ..errors import UserError

_K = TypeVar('_K')

#: fewer seeds than this, or fewer methods beside the student alone, leave the additive model too little to estimate an error from
SEEDS, METHODS = 3, 2

#: what is left of scores that do not vary, relative to them, by rounding alone; it counts as no deviation
_ROUNDING = 8 * np.finfo(float).eps

Scores = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class Comparison:
    """A method against the student alone.

    Attributes:
        method: its name.
        gain: difference of the means, method less student alone, in the score's own unit.
        half: half width of the interval, which is simultaneous over all comparisons of the board; zero where no score varies.
        kind: 'dunnett' (residual deviation of the whole board) or 'welch' (deviations of the two rows alone).
        reason: why it is not 'dunnett', one clause; None where it is.
    """

    method: str
    gain: float
    half: float
    kind: str
    reason: str | None


@dataclass(frozen=True)
class Board:
    """What the scores of one board say.

    Attributes:
        comparisons: of each method against the student alone, in the order of the scores; those with fewer than two scores have none.
        residual_sd: residual standard deviation s of the additive model, in the score's own unit; None where it was not fitted.
        freedom: its degrees of freedom, (rows - 1)(seeds - 1); None where it was not fitted.
        seed_correlation: between runs of equal seeds, in [-1, 1]; see ``seed_correlation``.
        apart: pairs of methods told apart from each other, (higher mean, lower mean); see ``told_apart``.
        joint: methods in the additive model, the student alone left out.
    """

    comparisons: dict[str, Comparison]
    residual_sd: float | None
    freedom: int | None
    seed_correlation: float | None
    apart: list[tuple[str, str]]
    joint: list[str]


@dataclass(frozen=True)
class EqualCost:
    """A method against the student alone that was trained as long as the method costs; either a gain, or the reason why there is none.

    Attributes:
        gain: difference of the means, in the score's own unit, or None.
        half: half width of its interval, simultaneous over all methods that have one, or None.
        reason: why there is no gain, one clause, or None.
    """

    gain: float | None
    half: float | None
    reason: str | None


def analyse(scores: Scores, baseline: str = 'alone', level: float = 0.95) -> Board:
    """Each method against the student alone, by intervals that hold together at ``level``; and which methods are told apart.

    The additive model is fitted to the student alone and all methods with exactly its seeds, where those are three seeds and two methods or
    more. Methods with other seeds, boards of two seeds and boards of one method have Welch's interval. With k1 comparisons by Dunnett and
    k2 by Welch, K = k1 + k2, the former hold together at level 1 - a k1 / K and each of the latter at 1 - a / K, a = 1 - ``level``: by
    Bonferroni's inequality all K intervals hold at once with probability ``level`` at least. The degrees of freedom of Welch's interval are
    Satterthwaite's, 2 (n - 1) at most, n the fewer of the two rows' scores.

    Args:
        scores: ``{method: {seed: score}}``.
        baseline: the key of the student alone. Without it, or with fewer than two of its scores, there are no comparisons.
        level: probability with which all intervals hold together.

    Raises:
        UserError: a score is not a finite number, or ``level`` is not between 0 and 1.
    """
    _check_level(level)
    rows = _finite(scores)
    base = rows.get(baseline, {})
    methods = [m for m, own in rows.items() if m != baseline and len(own) > 1] if len(base) > 1 else []
    complete = [m for m in methods if rows[m].keys() == base.keys()]
    joint = complete if len(base) >= SEEDS and len(complete) >= METHODS else []
    alpha = (1 - level) / max(len(methods), 1)

    sd = freedom = half = None
    apart = []
    if joint:
        sd, freedom = additive_model(_array([base, *(rows[m] for m in joint)]))
        half = dunnett_quantile(1 - alpha * len(joint), len(joint), freedom) * sd * math.sqrt(2 / len(base))
        apart = told_apart({m: _mean(rows[m]) for m in joint}, sd, freedom, len(base), level)
    comparisons = {}
    for method in methods:
        if half is not None and method in joint:
            gain = _mean(rows[method]) - _mean(base)
            comparisons[method] = Comparison(method, gain, half, 'dunnett', None)
            continue
        if method not in complete:
            reason = 'other seeds than the student alone'
        elif len(base) < SEEDS:
            reason = 'two seeds only'
        else:
            reason = 'one method' if len(methods) == 1 else 'no other method has the seeds of the student alone'
        comparisons[method] = Comparison(method, *_welch(alpha, (1, rows[method]), (-1, base)), 'welch', reason)
    return Board(comparisons, sd, freedom, seed_correlation(rows, baseline), apart, list(joint))


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float | None]:
    """``(mean, half width)`` of Student's t interval for the mean of ``values``; half width None for fewer than two."""
    own = np.asarray(values, dtype=float)
    if len(own) < 2:
        return float(own.mean()), None
    return float(own.mean()), _t(1 - level, len(own) - 1) * float(own.std(ddof=1)) / math.sqrt(len(own))


def additive_model(table: np.ndarray) -> tuple[float, int]:
    """``(residual standard deviation, degrees of freedom)`` of score = row + column + error.

    Args:
        table: (rows, seeds), two of each or more, every cell filled.
    """
    rows, seeds = table.shape
    residual = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    residual[np.abs(residual) < _ROUNDING * np.abs(table).max()] = 0
    freedom = (rows - 1) * (seeds - 1)
    return math.sqrt((residual**2).sum() / freedom), freedom


def seed_correlation(scores: Scores, baseline: str = 'alone') -> float | None:
    """How alike equal seeds of a method and of the student alone come out, in [-1, 1], pooled over the methods of a board.

    With d_ij the score of method i at seed j less the mean of method i, and b_ij that of the student alone, both over the seeds that the
    two share (two or more): sum d_ij b_ij / sqrt(sum d_ij^2 sum b_ij^2). Pooling lets a method whose scores vary little count little. Of
    two seeds the student alone has a single difference, so the number then says little.

    Returns:
        The correlation, or None where no method shares two seeds with the student alone, or nothing varies.
    """
    base = scores.get(baseline, {})
    product, left, right = [], [], []
    for method, own in scores.items():
        seeds = sorted(own.keys() & base.keys())
        if method == baseline or len(seeds) < 2:
            continue
        d, b = (_deviations([row[s] for s in seeds]) for row in (own, base))
        product += [x * y for x, y in zip(d, b, strict=True)]
        left += [x * x for x in d]
        right += [y * y for y in b]
    size = math.sqrt(math.fsum(left)) * math.sqrt(math.fsum(right))
    return min(max(math.fsum(product) / size, -1.0), 1.0) if size > 0 else None


def told_apart(means: Mapping[str, float], residual_sd: float, freedom: int, seeds: int, level: float = 0.95) -> list[tuple[str, str]]:
    """Pairs of methods whose means differ by more than Tukey's honestly significant difference q s / sqrt(n); the higher mean first.

    q is the quantile of the studentised range of ``len(means)`` means. All pairs hold together at ``level``, as a family of their own
    beside the comparisons with the student alone.

    Args:
        means: mean score of each method, the student alone left out.
        residual_sd: s of the additive model.
        freedom: its degrees of freedom.
        seeds: n, of each method.
        level: probability with which all pairs hold together.
    """
    if len(means) < 2:
        return []
    least = _studentized_range(level, len(means), freedom) * residual_sd / math.sqrt(seeds)
    order = sorted(means, key=means.__getitem__, reverse=True)
    return [(high, low) for high, low in combinations(order, 2) if means[high] - means[low] > least]


def equal_cost(
    scores: Scores,
    budgets: Mapping[float, Mapping[int, float]],
    ratios: Mapping[str, tuple[float, float | None] | None],
    baseline: str = 'alone',
    level: float = 0.95,
) -> dict[str, EqualCost]:
    """Each method against the student alone at the method's cost: trained r times as long, where a step of the method costs r times a step.

    Between the two budgets around r the student alone is interpolated, w = (r - lo) / (hi - lo): gain = mean(method) - (1 - w) mean(lo) -
    w mean(hi). A method that costs no more than the smallest budget is compared with that; beyond the largest nothing is extrapolated.

    The variance of a gain is s^2 (1 + (1 - w)^2 + w^2) / n, with s and its degrees of freedom from the additive model over all rows that
    have the seeds of the student alone, methods and budgets (three rows and three seeds, or more). Where the three rows of a gain do not
    all stand in it, the variance is that of Welch and Satterthwaite, of the rows' own variances; budgets of equal seeds are then interpolated
    seed by seed. To either comes the variance of the measured r, (slope of the segment x standard error of r)^2. The intervals hold
    together by Bonferroni's inequality.

    Args:
        scores: ``{method: {seed: score}}``, the student alone among them.
        budgets: ``{factor: {seed: score}}`` of the student alone, trained ``factor`` times as long; 1.0 is ``scores[baseline]`` where it is
            left out.
        ratios: ``{method: (r, standard error of r or None)}``; without a standard error r counts as exact.
        baseline: the key of the student alone.
        level: probability with which all intervals hold together.

    Returns:
        One entry for each method of ``scores``, the student alone left out.

    Raises:
        UserError: a score, factor, ratio or standard error is not a finite number, or not positive, or ``level`` is not between 0 and 1.
    """
    _check_level(level)
    rows = _finite(scores)
    longer = {1.0: rows.get(baseline, {})} | {float(f): own for f, own in _finite(budgets).items()}
    # of a budget with one run no deviation is known; its neighbours stand in for it
    given, longer = max(longer), {f: own for f, own in sorted(longer.items()) if len(own) > 1}
    for name, value in [('budget', f) for f in longer] + [(f'cost of {m!r}', r[0]) for m, r in ratios.items() if r]:
        if not (math.isfinite(value) and value > 0):
            raise UserError(f'The {name} is {value!r} times that of the student alone; give a positive finite number.')
    for method, found in ratios.items():
        if found and found[1] is not None and not (math.isfinite(found[1]) and found[1] >= 0):
            raise UserError(f'The standard error of the cost of {method!r} is {found[1]!r}; give a finite number from 0 on, or None.')

    out: dict[str, EqualCost] = {}
    compared: dict[str, tuple[float, float | None]] = {}
    for method, own in rows.items():
        if method == baseline:
            continue
        ratio = ratios.get(method)
        if ratio is None:
            out[method] = EqualCost(None, None, 'its cost was not measured')
        elif len(own) < 2:
            out[method] = EqualCost(None, None, 'needs a second seed')
        elif 1.0 not in longer:
            out[method] = EqualCost(None, None, 'the student alone needs a second seed')
        elif ratio[0] > max(longer):
            twice = ' with two seeds' if given > max(longer) else ''
            reason = f'the student alone was run up to {max(longer):g} times as long{twice}, and this costs {ratio[0]:.4g}'
            out[method] = EqualCost(None, None, reason)
        else:
            compared[method] = ratio
            out[method] = EqualCost(None, None, None)  # filled below; here it keeps the order of the scores
    seeds = longer.get(1.0, {}).keys()
    inside = (
        [f for f, own in longer.items() if own.keys() == seeds],
        [m for m, own in rows.items() if m != baseline and own.keys() == seeds],
    )
    table = [longer[f] for f in inside[0]] + [rows[m] for m in inside[1]]
    model = additive_model(_array(table)) if len(seeds) >= SEEDS and len(table) > METHODS else None
    for method, (cost, error) in compared.items():
        low, high, w = _segment(cost, list(longer))
        slope = (_mean(longer[high]) - _mean(longer[low])) / (high - low) if high > low else 0.0
        extra = (slope * (error or 0.0)) ** 2
        alpha = (1 - level) / len(compared)
        if model and method in inside[1] and low in inside[0] and high in inside[0]:
            gain = _mean(rows[method]) - (1 - w) * _mean(longer[low]) - w * _mean(longer[high])
            variance = model[0] ** 2 * (1 + (1 - w) ** 2 + w**2) / len(seeds)
            half = _t(alpha, model[1]) * math.sqrt(variance + extra)
        elif longer[low].keys() == longer[high].keys():
            # equal seeds of two budgets come out alike, so their interpolation varies more than that of independent runs
            base = {s: (1 - w) * longer[low][s] + w * longer[high][s] for s in longer[low]}
            gain, half = _welch(alpha, (1, rows[method]), (-1, base), extra=extra)
        else:
            gain, half = _welch(alpha, (1, rows[method]), (w - 1, longer[low]), (-w, longer[high]), extra=extra)
        out[method] = EqualCost(gain, half, None)
    return out


@lru_cache(maxsize=1024)
def dunnett_quantile(level: float, k: int, df: float) -> float:
    """Dunnett's two-sided critical value: P(|T_i| <= c for i = 1 … k) = ``level``, T_i of ``df`` degrees of freedom, correlation 1/2.

    T_i = (Z_i - Z_0) / (s sqrt 2), Z independent standard normal, s^2 = chi^2_df / df. Given Z_0 = z and s the k events are independent:

        P = integral f(s) integral phi(z) [Phi(z + c s sqrt 2) - Phi(z - c s sqrt 2)]^k dz ds,

    by Gauss-Legendre nodes in z and log s, without random numbers; absolute error below 1e-6.

    Args:
        level: between 0 and 1.
        k: comparisons, from 1 on (1: Student's t).
        df: degrees of freedom, positive; may be infinite (s is known).

    Raises:
        UserError: an argument is outside these ranges.
    """
    _check_level(level)
    if k < 1 or not df > 0:
        raise UserError(f"Dunnett's critical value was asked for {k} comparisons and {df} degrees of freedom; give one or more of each.")
    from scipy.optimize import brentq

    z, weight_z = (a[:, None] for a in _nodes(0, 9, 128))  # the integrand is even in z
    weight_z = 2 * weight_z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    s, weight_s = _deviation_nodes(df)

    def missed(c: float) -> float:
        wide = c * math.sqrt(2) * s
        with np.errstate(divide='ignore'):  # log 0 where the interval is empty
            each = -np.expm1(k * np.log1p(-np.minimum(special.ndtr(z - wide) + special.ndtr(-z - wide), 1)))
        return float((weight_z * each).sum(0) @ weight_s) - (1 - level)

    # never below the value for one comparison, never above Bonferroni's
    return float(brentq(missed, 0.999 * _t(1 - level, df), 1.001 * _t((1 - level) / k, df), xtol=1e-10))


def power(delta: float, sigma: float, seeds: int, k: int, level: float = 0.95) -> float:
    """Probability that a method with the true gain ``delta`` is told apart from the student alone, on a board of k methods by Dunnett.

    P(|T| > c), T of the noncentral t distribution with k (seeds - 1) degrees of freedom and noncentrality delta / (sigma sqrt(2 / seeds)):
    integral f(s) [Phi(shift - c s) + Phi(-shift - c s)] ds, as in ``dunnett_quantile`` (scipy's own is nan far from zero).

    Args:
        delta: the true gain, in the score's own unit; its sign does not matter.
        sigma: standard deviation of the error in the additive model (``Board.residual_sd``), not that of scores over seeds.
        seeds: of every row, three or more.
        k: methods beside the student alone, all with these seeds, two or more.
        level: probability with which all intervals hold together.

    Raises:
        UserError: the board would not be analysed by Dunnett, or ``sigma`` is not positive.
    """
    if seeds < SEEDS or k < METHODS or not sigma > 0:
        found = f'{seeds} seeds, {k} methods and sigma {sigma!r}'
        raise UserError(
            f'The power of a board with {found} was asked for; give {SEEDS} seeds, {METHODS} methods or more, and a positive sigma.'
        )
    freedom = k * (seeds - 1)
    c, shift = dunnett_quantile(level, k, freedom), abs(delta) / (sigma * math.sqrt(2 / seeds))
    s, weight = _deviation_nodes(freedom)
    return float((special.ndtr(shift - c * s) + special.ndtr(-shift - c * s)) @ weight)


_power = power  # the next function has an argument of that name


def seeds_needed(delta: float, sigma: float, k: int, power: float = 0.8, level: float = 0.95) -> int:
    """The fewest seeds of every row with which ``power`` (the function) reaches ``power``; at least three. Arguments as there.

    Raises:
        UserError: more than 1000 seeds would be needed, or an argument is one that ``power`` refuses.
    """
    low, high = SEEDS - 1, SEEDS
    while _power(delta, sigma, high, k, level) < power:
        low, high = high, 2 * high
        if low > 1000:
            raise UserError(f'A gain of {delta} with sigma {sigma} needs more than 1000 seeds; name a larger gain or a smaller power.')
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(delta, sigma, middle, k, level) >= power else (middle, high)
    return high


def simulated(
    boards: int,
    methods: int,
    seeds: int,
    generator: np.random.Generator,
    gain: float = 0.0,
    correlation: float = 0.5,
    fewer: int = 0,
    deviations: Mapping[str, float] | None = None,
) -> Iterator[Board]:
    """Analysed boards of normal scores: score = gain + seed + error, error of standard deviation 1 unless ``deviations`` says otherwise.

    Args:
        boards: how many.
        methods: beside the student alone, named 'm0', 'm1' …; 'm0' has the true ``gain``, the others none.
        seeds: of every row.
        generator: from which all scores are drawn.
        gain: of 'm0'.
        correlation: of equal seeds, in [0, 1).
        fewer: so many of the last methods have only the first two seeds.
        deviations: standard deviation of the error of rows ('alone', 'm0' …) where it is not 1.
    """
    names = ['alone', *(f'm{i}' for i in range(methods))]
    scale = np.array([(deviations or {}).get(name, 1.0) for name in names])[:, None]
    effect = math.sqrt(correlation / (1 - correlation)) * generator.standard_normal((boards, 1, seeds))
    tables = effect + scale * generator.standard_normal((boards, methods + 1, seeds))
    tables[:, 1] += gain
    for table in tables:
        rows = {name: dict(enumerate(row)) for name, row in zip(names, table.tolist(), strict=True)}
        for name in names[methods + 1 - fewer :]:
            rows[name] = {seed: rows[name][seed] for seed in (0, 1)}
        yield analyse(rows)


def verdict_rates(boards: Iterator[Board], gainer: str | None = None) -> tuple[float, float, float]:
    """Shares of boards with any false verdict, with two methods wrongly told apart, and with ``gainer`` told apart from the student alone.

    All methods but ``gainer`` are taken to be without effect.
    """
    found = []
    for board in boards:
        told = {m for m, c in board.comparisons.items() if abs(c.gain) > c.half}
        found.append((bool(told - {gainer}), any(gainer not in pair for pair in board.apart), gainer in told))
    return tuple(np.mean(found, axis=0).tolist())


def _finite(scores: Mapping[_K, Mapping[int, float]]) -> dict[_K, dict[int, float]]:
    """The scores as dicts of floats; one that is not finite is an error."""
    for name, own in scores.items():
        for seed, value in own.items():
            if not math.isfinite(value):
                raise UserError(f'The score of {name!r} with seed {seed} is {value!r}; leave out runs without a finite score.')
    return {name: {seed: float(value) for seed, value in own.items()} for name, own in scores.items()}


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise UserError(f'The level of intervals is {level!r}; give a number between 0 and 1, for instance 0.95.')


def _array(rows: Sequence[Mapping[int, float]]) -> np.ndarray:
    """(rows, seeds) of rows that have the same seeds."""
    return np.array([[row[seed] for seed in sorted(rows[0])] for row in rows])


def _mean(row: Mapping[int, float]) -> float:
    return math.fsum(row.values()) / len(row)


def _deviations(values: Sequence[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    return [x - mean if abs(x - mean) > _ROUNDING * abs(mean) else 0.0 for x in values]


def _variance(row: Mapping[int, float]) -> float:
    return math.fsum(d**2 for d in _deviations([*row.values()])) / (len(row) - 1)


def _t(alpha: float, freedom: float) -> float:
    """Two-sided critical value of Student's t."""
    return float(special.ndtri(1 - alpha / 2) if math.isinf(freedom) else special.stdtrit(freedom, 1 - alpha / 2))


def _welch(alpha: float, *groups: tuple[float, Mapping[int, float]], extra: float = 0.0) -> tuple[float, float]:
    """``(estimate, half width)`` of a sum of weights x means, the degrees of freedom by Satterthwaite.

    With v_i = w_i^2 var_i / n_i: df = (sum v_i)^2 / sum (v_i^2 / (n_i - 1)), but no more than all groups would have together with the
    scores of the shortest. Where one of two scores comes out even by chance, Satterthwaite's df is that of the other group, and at the
    small error shares of a board intervals miss several times as often as they may: of two scores against ten without any effect 3 % where
    0.5 % were allowed. ``extra`` is a variance from elsewhere, added to theirs.
    """
    estimate = math.fsum(weight * _mean(row) for weight, row in groups)
    parts = [(weight**2 * _variance(row) / len(row), len(row) - 1) for weight, row in groups]
    total = sum(v for v, _ in parts)
    # rows that do not vary leave only ``extra``, as if it were known
    freedom = min(1 / sum((v / total) ** 2 / n for v, n in parts), len(parts) * min(n for _, n in parts)) if total > 0 else math.inf
    return estimate, _t(alpha, freedom) * math.sqrt(total + extra)


def _segment(ratio: float, factors: Sequence[float]) -> tuple[float, float, float]:
    """``(lo, hi, w)``: the neighbouring factors with lo < ratio <= hi, and the weight of hi; lo = hi below the smallest. Sorted factors."""
    at = int(np.searchsorted(factors, ratio))
    if at == 0:
        return factors[0], factors[0], 0.0
    low, high = factors[at - 1], factors[at]
    return low, high, (ratio - low) / (high - low)


def _nodes(start: float, end: float, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre between ``start`` and ``end``."""
    x, weight = np.polynomial.legendre.leggauss(number)
    return start + (x + 1) * (end - start) / 2, weight * (end - start) / 2


def _deviation_nodes(df: float) -> tuple[np.ndarray, np.ndarray]:
    """Values s of a standard deviation estimated with ``df`` degrees of freedom, where the true one is 1, and their probabilities.

    s = sqrt(chi^2_df / df); f(s) = 2 (df / 2)^(df / 2) s^(df - 1) exp(-df s^2 / 2) / Gamma(df / 2), between its quantiles 1e-16.
    """
    if math.isinf(df):
        return np.ones(1), np.ones(1)
    ends = special.gammaincinv(df / 2, 1e-16), special.gammainccinv(df / 2, 1e-16)  # of chi^2 / 2
    low, high = (0.5 * math.log(2 * end / df) for end in ends)
    x, weight = _nodes(low, high, 256)  # x = log s
    s = np.exp(x)
    return s, 2 * weight * np.exp(df / 2 * math.log(df / 2) - special.gammaln(df / 2) + df * x - df / 2 * s**2)


@lru_cache(maxsize=1024)
def _studentized_range(level: float, means: int, freedom: int) -> float:
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(level, means, freedom))


#: of the simulation: methods, seeds, how many of them have two seeds only, correlation of equal seeds
_SIMULATED = (
    (4, 3, 0, 0.0),
    (10, 3, 0, 0.0),
    (10, 5, 0, 0.0),
    (10, 5, 0, 0.8),
    (10, 5, 3, 0.0),
    (10, 5, 8, 0.0),
    (10, 2, 0, 0.0),
    (10, 2, 0, 0.8),
    (1, 5, 0, 0.0),
)


def main(boards: int = 10_000) -> None:
    """Prints the tables of docs/numbers.md, in two to three minutes: shares of false verdicts, power, and how many seeds a gain needs."""
    generator = np.random.default_rng(0)
    print(f'False verdicts, % of {boards} boards without any effect, where the error of some rows has three times the standard deviation\n')
    print('| methods | seeds | with two seeds only | correlation | none | half of the methods | one method | student alone | apart, none |')
    print('|---' * 9 + '|')
    for methods, seeds, fewer, correlation in _SIMULATED:
        names = [f'm{i}' for i in range(methods)]
        rates = []
        for rows in ([], names[methods // 2 :], names[-1:], ['alone']):
            drawn = simulated(boards, methods, seeds, generator, 0.0, correlation, fewer, dict.fromkeys(rows, 3.0))
            rates.append(verdict_rates(drawn))
        apart = f'{100 * rates[0][1]:.1f}' if min(seeds - SEEDS, methods - METHODS) >= 0 else '–'  # without the model nothing is told apart
        print(f'| {methods} | {seeds} | {fewer} | {correlation} |', ' | '.join(f'{100 * r[0]:.1f}' for r in rates), f'| {apart} |')
    print('\nA method with a true gain is told apart from the student alone, % of boards\n')
    print('| methods | seeds | gain / residual deviation | simulated | by theory |')
    print('|---' * 5 + '|')
    for methods, seeds, gain in ((4, 3, 2.0), (4, 3, 4.0), (10, 5, 1.0), (10, 5, 2.0), (10, 5, 3.0)):
        found = verdict_rates(simulated(boards, methods, seeds, generator, gain), 'm0')[2]
        print(f'| {methods} | {seeds} | {gain:g} | {100 * found:.1f} | {100 * power(gain, 1, seeds, methods):.1f} |')
    print('\nSeeds of every row with which a gain is told apart in 80 % of boards\n')
    counts = (2, 4, 10, 20)
    print('| gain / residual deviation |', ' | '.join(f'{k} methods' for k in counts), '|')
    print('|---' * (len(counts) + 1) + '|')
    for gain in (0.5, 1.0, 1.5, 2.0, 3.0, 4.0):
        print(f'| {gain:g} |', ' | '.join(str(seeds_needed(gain, 1, k)) for k in counts), '|')


if __name__ == '__main__':
    main()
