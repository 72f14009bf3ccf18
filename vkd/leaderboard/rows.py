"""Runs -> rows: the runs of one experiment together, with their means and what their networks cost."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..evaluation.scores import KNOWN, Score
from .gains import compare
from .records import KEY, Row, RunFacts, Table
from .statistics import mean_interval

#: scores of zero-shot segmentation: their column's head and key in metrics.json
ZERO_SHOT = {'S': 'mIoU_seen', 'U': 'mIoU_unseen', 'hIoU': 'hIoU'}
#: a column of networks of super-resolution
MULTIPLY_ADDS = 'G multiply-adds at 1280x720'
#: an option of a run's command that begins its student with what a stage of the suite has trained (vkd.runs.cells)
STAGE = re.compile(r'\bmodel\.student\.[^=\s]*=\S*/stage_')


def table(
    runs: Iterable[RunFacts], score: Score, profile: Mapping[str, Any] | None = None, baselines: Mapping[str, Any] | None = None
) -> Table:
    """One row an experiment, student alone first, best gain next, with gains or why they are withheld.

    Runs whose configs differ in more than the seed and the place of the teacher stand in rows of their own, told apart by ``variant``.

    Args:
        score: the main one, by which rows are compared.
        profile: what profile.json holds of the costs of networks and steps.
        baselines: ``{fingerprint: config}`` of the baselines that runs name, as ``vkd.build.identity.baseline_config`` gives them.
    """
    profile = profile or {}
    groups: dict[tuple[Any, ...], list[RunFacts]] = {}
    for run in runs:
        key = (*(getattr(run, k) for k in KEY), run.role, run.external, run.budget, run.experiment)
        groups.setdefault(key, []).append(run)
    names = Counter(key[:-1] for key in groups)
    rows = [_row(members, score, names[key[:-1]] > 1, profile) for key, members in groups.items()]
    panels = compare(rows, score, baselines or {}, profile.get('steps', {}))
    return Table(sorted(rows, key=lambda row: _place(row, score)), panels)


def _place(row: Row, score: Score) -> tuple[Any, ...]:
    """Where a row stands: by data, protocol and student; the teachers first, then the student alone, then the best gain."""
    gain = row.gain.value if row.gain and row.gain.value is not None else None
    return (
        row.data,
        row.protocol,
        row.role != 'teacher',
        row.student,
        {'teacher': 0, 'alone': 1}.get(row.method, 2),
        row.budget,
        -score.sign * gain if gain is not None else 1e9,
        row.method,
    )


def _row(members: Sequence[RunFacts], score: Score, twins: bool, profile: Mapping[str, Any]) -> Row:
    first = members[0]
    done = [run for run in members if run.score(score.name) is not None]
    names = {k: getattr(first, k) for k in KEY}
    row = Row(
        **names,
        role=first.role,
        external=first.external,
        variant=first.experiment[:6] if first.experiment and twins else None,
        budget=first.budget,
        control=first.control,
        tuning=first.tuning,
        seeds=[run.seed for run in done],
        values=[value for run in done if (value := run.score(score.name)) is not None],
        runs=list(members),
        synthetic_text=any(run.synthetic_text for run in members),
        named_by=first.named_by,
        images=done[0].test.get('images') if done else None,
        failed=[run.run for run in members if run.state == 'failed'],
        unfinished=[run.run for run in members if run.state not in ('done', 'failed')],
    )
    if row.values:
        row.mean, row.interval = mean_interval(row.values)
        for key, found in _gathered([{k: run.test.get(k) for k in ('mAcc', 'aAcc')} for run in done]).items():
            setattr(row, key, float(np.mean(found)))
        row.extra = _extra(done, score)
    row.classes, row.per_class = _per_class(done)
    _add_costs(row, profile)
    return row


def _add_costs(row: Row, profile: Mapping[str, Any]) -> None:
    model = profile.get('models', {}).get(row.student) or {}
    row.params, row.flops, row.latency_ms, row.shape = (model.get(k) for k in ('params', 'flops', 'latency_ms', 'shape'))
    if model.get('multiply_adds_720p'):
        row.extra[MULTIPLY_ADDS] = model['multiply_adds_720p'] / 1e9
    row.staged = any(STAGE.search(str(run.command)) for run in row.runs)
    step = profile.get('steps', {}).get(step_key(row))
    # of a run in stages the last one alone was timed, and those before it come on top
    row.step = step.get('ratio') if step and not row.staged else None


def step_key(row: Row) -> str:
    """The key of a row in profile.json's ``steps``."""
    return '|'.join((row.student, row.teacher or '-', row.method))


# -- scores beside the main one --------------------------------------------------------------------------------------------
def extra_scores(run: RunFacts, main: str) -> dict[str, float]:
    """``{column: score}`` that only some runs have: of seen and unseen classes, of each domain and test set, and under corruptions and
    attacks, where ``corruptions.json`` and ``attacks.json`` lie beside the run's other files. The score ``main`` of the first test set has a
    column of its own.
    """
    test, corrupted = run.test, run.corruptions or {}
    out = {
        **{key: test.get(key) for key in ZERO_SHOT.values()},
        **{f'mIoU.{name}': own.get('mIoU') for name, own in (test.get('domains') or {}).items()},
    }
    for i, (name, own) in enumerate((test.get('sets') or {}).items()):  # of restoration; those of the first stand without its name too
        out.update({f'{name} {key}': own[key] for key in own if key in KNOWN and (i or key != main)})
    if corrupted.get('summary'):
        cells = [key.rsplit('-', 1) for key in corrupted['cells'] if key != 'clean']
        names, severities = sorted({name for name, _ in cells}), sorted({severity for _, severity in cells})
        # other corruptions are another column
        under = f'{", ".join(names) if len(names) < 4 else f"{len(names)} corruptions"}, severity {", ".join(severities)}'
        out.update({f'mIoU under {under}': corrupted['summary']['corrupted'], f'% kept under {under}': corrupted['summary']['relative']})
    for cell, own in ((run.attacks or {}).get('cells') or {}).items():
        if cell != 'clean':
            name, eps = cell.rsplit('-', 1)
            out[f'mIoU under {name.upper().replace("PGD", "PGD-")}, {eps}/255'] = own.get('mIoU')
    return out


def _extra(done: Sequence[RunFacts], score: Score) -> dict[str, float]:
    """``{column: mean}`` of ``extra_scores``; what only some of the seeds have is another mean, so its column names them."""
    scores, out = [(run.seed, extra_scores(run, score.name)) for run in done], {}
    for key, found in _gathered([own for _, own in scores]).items():
        seeds = [str(seed) for seed, own in scores if own.get(key) is not None]
        some = '' if len(seeds) == len(done) else f' (seed{"s" * (len(seeds) > 1)} {", ".join(seeds)})'
        out[key + some] = float(np.mean(found))
    return out


def _gathered(scores: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """``{key: [value]}`` of a list of dicts, numbers only."""
    out: dict[str, list[float]] = {}
    for own in scores:
        for key, value in own.items():
            if isinstance(value, (int, float)):
                out.setdefault(key, []).append(value)
    return out


def _per_class(done: Sequence[RunFacts]) -> tuple[list[str], list[float | None]]:
    """``(classes, IoU of each, the mean over the runs that have the same classes)``."""
    lists = [(run.test.get('classes') or [], run.test['IoU']) for run in done if run.test.get('IoU')]
    lists = [(classes, iou) for classes, iou in lists if classes == lists[0][0] and len(iou) == len(classes)]
    if not lists:
        return [], []
    values = np.array([[np.nan if v is None else v for v in iou] for _, iou in lists], dtype=float)
    known = (~np.isnan(values)).any(0)
    mean = np.full(values.shape[1], np.nan)
    mean[known] = np.nanmean(values[:, known], axis=0)
    return lists[0][0], [None if np.isnan(v) else float(v) for v in mean]
