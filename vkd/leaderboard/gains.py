"""Gains over the student alone: which run a method may be compared with, and what the comparison says.

A gain needs a *baseline*: runs of the student alone whose config is, but for methods and teachers, that of the method's runs
(``vkd.build.identity.baseline_config``). Where there is none the gain is withheld, and the places at which the configs differ are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from ..build.budgets import stretched
from ..build.config import plain
from ..build.identity import differences, told_difference
from ..evaluation.scores import Score
from .records import Gain, Panel, Row, RunFacts
from .statistics import SEEDS, analyse, equal_cost

#: what is said of a gain that is told apart from zero, or is not
VERDICTS = {1: 'better than alone', -1: 'worse than alone', 0: 'not told apart from zero'}
#: as many differences of two configs are named
SHOWN = 3
#: a standard error of a median of five rounds, for each unit between its quartiles: 1.2533 / sqrt(5) / 1.3490
_OF_QUARTILES = 0.4155


def compare(rows: Sequence[Row], score: Score, baselines: Mapping[str, Any], steps: Mapping[str, Any]) -> list[Panel]:
    """Fills in ``gain``, ``equal_cost`` and ``fewer_trials`` of all rows that are compared, and returns what is said of each student's
    rows together.

    Args:
        baselines: ``{fingerprint: config}``.
        steps: ``{'student|teacher|method': dict(ratio, low, high)}``.
    """

    def board(row: Row) -> tuple[str, ...]:
        return row.data, row.protocol, row.student, row.external or ''

    panels = []
    for (data, protocol, student, external), own in groupby(sorted(rows, key=board), board):
        # in an order of their own, so that a table read back says the same as one of run folders
        members = sorted((row for row in own if row.role == 'student'), key=lambda r: (r.method, r.variant or '', r.budget))
        if not members:
            continue
        alone, longer = ([row for row in members if row.alone and (row.budget == 1) == first and row.values] for first in (True, False))
        panel = Panel(data, protocol, student, external or None)
        for row in members:
            if row.compared:
                row.gain = _chosen(row, alone, members, baselines)
        for base in alone:
            compared = [row for row in members if row.gain and row.gain.withheld is None and _base_of(row, alone, baselines) is base]
            if compared:
                _analyse(base, compared, panel, score)
                _at_equal_cost(base, longer, compared, baselines, steps)
        for row in members:
            for gain in (row.gain, row.equal_cost):
                if gain and (found := benefit(gain, score)) is not None:
                    gain.verdict = VERDICTS[found]
        panel.controls = [(row.method, row.control, _control_holds(row, score)) for row in members if row.control and row.gain]
        panels.append(panel)
    return panels


# -- which baseline --------------------------------------------------------------------------------------------------------
def _chosen(row: Row, alone: Sequence[Row], members: Sequence[Row], baselines: Mapping[str, Any]) -> Gain:
    """A gain that says why there is none, if so; else what it is of."""
    gain = Gain()
    base = _base_of(row, alone, baselines)
    if not row.values:
        gain.withheld = 'no finished run'
    elif not alone:
        gain.withheld = 'student alone was not run here'
    elif base is None:
        gain.withheld = _why_none(row, alone, baselines)
    else:
        gain.by = 'config' if _known(row) and _known(base) else 'name'
        gain.baseline = len(base.values)
        gain.allowed = sorted({d for run in row.done for d in _allowed(run, row, base, baselines)})
        if other := _other_data(row, base):
            gain.withheld = other
        elif min(len(row.values), len(base.values)) < 2:
            gain.withheld = 'needs a second seed' if len(row.values) < 2 else 'baseline needs a second seed'
        if base.trials < row.trials:
            row.fewer_trials = base.trials
    return gain


def _known(row: Row) -> bool:
    """Whether all of its runs say what their baseline is."""
    return all(run.baseline for run in row.done)


def _base_of(row: Row, alone: Sequence[Row], baselines: Mapping[str, Any]) -> Row | None:
    """The row of the student alone that ``row`` may be compared with."""
    if not row.done:
        return None
    fit = [base for base in alone if _fits(row, base, baselines)]
    # names alone do not tell which of several it would be
    return fit[0] if fit and (len(fit) == 1 or _known(row)) else None


def _fits(row: Row, base: Row, baselines: Mapping[str, Any]) -> bool:
    if {run.batch for run in row.done} != {run.batch for run in base.done}:
        return False
    if not (_known(row) and _known(base)):  # of an older version
        return {run.max_iters for run in row.done} == {run.max_iters for run in base.done}
    return not any(_unlike(run, row, base, baselines) for run in row.done)


def _unlike(run: RunFacts, row: Row, base: Row, baselines: Mapping[str, Any]) -> list[str]:
    """The differences between the config of a run and that of the student alone that are not the method's own."""
    return [told for told, own in _compared(run, row, base, baselines) if not own]


def _allowed(run: RunFacts, row: Row, base: Row, baselines: Mapping[str, Any]) -> list[str]:
    """The differences that are the method's own."""
    return [told for told, own in _compared(run, row, base, baselines) if own] if _known(row) and _known(base) else []


def _compared(run: RunFacts, row: Row, base: Row, baselines: Mapping[str, Any]) -> Iterable[tuple[str, bool]]:
    """``(difference, whether it is the method's own)`` of each place at which the configs differ."""
    for other in base.done:
        if run.baseline == other.baseline:
            continue
        ours, theirs = (baselines.get(r.baseline or '') for r in (run, other))
        if ours is None or theirs is None:
            yield f'fingerprint: {run.baseline} here, {other.baseline} alone', False
            continue
        for path, a, b in differences(ours, theirs):
            yield told_difference(path, a, b), _is_own(path, row, base)


def _is_own(path: str, row: Row, base: Row) -> bool:
    """Whether a difference belongs to the method: the run says so of a part of the student's network, or both sides tuned it alike."""
    declared = {option for run in row.runs for option in run.part_of_method or () if option.startswith('model.student.')}
    spaces = [(r.tuning or {}).get('space') or {} for r in (row, base)]
    tuned = {option for option in spaces[0] if spaces[0][option] == spaces[1].get(option)}
    return any(_plain(path) == _plain(option) or _plain(path).startswith(_plain(option) + '.') for option in declared | tuned)


def _plain(path: str) -> str:
    """A dotted path without the words by which one config nests a network or an optimizer deeper than another."""
    parts = path.split('.')
    if parts[:2] == ['model', 'student'] and parts[2:3] in (['network'], ['model']):
        parts.pop(2)
    if parts[:2] == ['optim_wrapper', 'student'] or parts[:2] == ['param_scheduler', 'student']:
        parts.pop(1)
    return '.'.join(parts)


def _why_none(row: Row, alone: Sequence[Row], baselines: Mapping[str, Any]) -> str:
    """Why none of ``alone`` is the baseline of ``row``."""
    by_name = not (_known(row) and all(_known(base) for base in alone))
    budgets = [(run.max_iters, run.batch) for run in (row.done[0], alone[0].done[0])]
    if budgets[0] != budgets[1] and (by_name or budgets[0][1] != budgets[1][1]):
        return 'student alone was run for {} iterations of batch {}, not {} of {}'.format(*budgets[1], *budgets[0])
    if by_name:
        return 'student alone was run with configs that differ'
    found = min((list(dict.fromkeys(d for run in row.done for d in _unlike(run, row, base, baselines))) for base in alone), key=len)
    more = f'; and {len(found) - SHOWN} more' if len(found) > SHOWN else ''
    return f'its config differs from that of the student alone in more than the method: {"; ".join(found[:SHOWN])}{more}'


def _other_data(row: Row, base: Row) -> str | None:
    """A clause where the lists of images differ, although the configs are alike."""
    for part in ('train', 'test'):
        ours, theirs = ({run.data_sha256[part] for run in r.done if run.data_sha256 and run.data_sha256.get(part)} for r in (row, base))
        if ours and theirs and ours != theirs:
            return f'its {part}ing images are others than those of the student alone (their list has another digest)'
    return None


# -- what it says ----------------------------------------------------------------------------------------------------------
def _analyse(base: Row, compared: Sequence[Row], panel: Panel, score: Score) -> None:
    """Gains with intervals that hold for all of ``compared`` together."""
    names = {str(i): row for i, row in enumerate(compared)}
    found = analyse({'alone': _by_seed(base), **{name: _by_seed(row) for name, row in names.items()}})
    for name, own in found.comparisons.items():
        if gain := names[name].gain:
            gain.value, gain.half, gain.kind, gain.fallback = own.gain, own.half, own.kind, own.reason
    panel.residual_sd, panel.freedom = found.residual_sd, found.freedom
    panel.unequal = _unequal(base, [names[name] for name in found.joint])
    panel.seed_correlation = found.seed_correlation if len(base.seeds) >= SEEDS else None
    told = [(names[a].method, names[b].method) for a, b in found.apart]
    panel.apart = told if score.sign > 0 else [(b, a) for a, b in told]


def _unequal(base: Row, joint: Sequence[Row], most: float = 3.0) -> float | None:
    """How many times as much the student alone scatters as the methods that share its residual deviation; None up to ``most`` times."""
    if not joint:
        return None
    spread, others = np.std(base.values, ddof=1), np.sqrt(np.mean([np.var(row.values, ddof=1) for row in joint]))
    return float(spread / others) if others and spread > most * others else None


def _by_seed(row: Row) -> dict[int, float]:
    """The scores of a row; a run without a seed is like no other."""
    return {-i if seed is None else seed: value for i, (seed, value) in enumerate(zip(row.seeds, row.values, strict=True), 1)}


def _at_equal_cost(
    base: Row, longer: Sequence[Row], compared: Sequence[Row], baselines: Mapping[str, Any], steps: Mapping[str, Any]
) -> None:
    """Gains over the student alone trained for as much time, where it was also run longer."""
    proven = {row.budget: _by_seed(row) for row in longer if _is_longer(row, base, baselines)}
    if not proven:
        return
    names = {str(i): row for i, row in enumerate(compared)}
    ratios: dict[str, tuple[float, float | None] | None] = {}
    for name, row in names.items():
        step = steps.get('|'.join((row.student, row.teacher or '-', row.method))) or {}
        spread = step['high'] - step['low'] if {'high', 'low'} <= set(step) else None
        ratios[name] = None if row.step is None else (row.step, None if spread is None else _OF_QUARTILES * spread)
    scores = {'alone': _by_seed(base), **{name: _by_seed(row) for name, row in names.items()}}
    found = equal_cost(scores, {1.0: _by_seed(base), **proven}, ratios)
    for name, own in found.items():
        row = names[name]
        by, runs = row.gain.by if row.gain else 'config', sum(map(len, proven.values())) + len(base.values)
        row.equal_cost = Gain(own.gain, own.half, own.reason, by=by, baseline=runs)


def _is_longer(row: Row, base: Row, baselines: Mapping[str, Any]) -> bool:
    """Whether ``row`` is ``base`` trained ``row.budget`` times as long, by their configs."""
    ours, theirs = (baselines.get(r.first.baseline or '') for r in (base, row))
    return ours is not None and theirs is not None and not list(differences(plain(stretched(ours, row.budget)), theirs))


def benefit(gain: Gain | None, score: Score) -> int | None:
    """1 where a gain is told apart from zero and better, -1 where it is worse, 0 where it is not told apart; None where it is withheld."""
    if gain is None or gain.value is None or gain.half is None:
        return None
    if abs(gain.value) <= gain.half:
        return 0
    return 1 if score.sign * gain.value > 0 else -1


def _control_holds(row: Row, score: Score) -> bool | None:
    """Whether a control came out as it must; None where its gain is withheld."""
    found = benefit(row.gain, score)
    return None if found is None else (found == 1) == (row.control == 'must help')
