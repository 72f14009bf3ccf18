"""What is said of a table in words: verdicts, legends, captions, how many gains are what, and whether controls came out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..evaluation.scores import Score, score_of
from .gains import VERDICTS as BY_BENEFIT
from .gains import benefit
from .records import Gain, Panel, Row, Table
from .rows import ZERO_SHOT

#: what the words of ``verdict`` mean, on every page that has them
VERDICTS = (
    'A verdict follows from the interval of the gain alone: "better than alone" or "worse than alone" where it leaves out zero, '
    '"not told apart from zero" where it does not, which is not "equal". All intervals of one student on one protocol hold together '
    'with 95 %: where no method has any effect, one such group of gains in twenty holds a verdict by chance. A gain is given only '
    'where the student alone was run by the same config, but for methods and teachers.'
)


def verdict(gain: Gain | None, score: Score) -> str:
    """One sentence on a gain, that claims no more than the interval does; empty where there is none to speak of."""
    if gain is None:
        return ''
    found = benefit(gain, score)
    return f'withheld: {gain.withheld}' if found is None else BY_BENEFIT[found]


def remarks(row: Row) -> list[str]:
    """Clauses that stand beside a verdict: what differs on purpose, how often the row was tuned, and whether its baseline was less."""
    out = []
    if row.gain and row.gain.value is not None:
        out += [f"the method's own: {told}" for told in row.gain.allowed]
    if row.trials:
        out.append(f'{row.trials} trials' + (f', the student alone had {row.fewer_trials}' if row.fewer_trials is not None else ''))
    return out


def named(row: Row) -> str:
    """The method of a row, with what tells it from another row of that name, whether its text embeddings were made up, and who sent it."""
    return (
        row.method
        + (f', {row.budget:g} x the iterations' if row.budget != 1 else '')
        + (f' [{row.variant}]' if row.variant else '')
        + (' (synthetic text)' if row.synthetic_text else '')
        + (f' (external: {row.external})' if row.external else '')
    )


# -- heads -----------------------------------------------------------------------------------------------------------------
def with_unit(head: str, key: str, declared: Mapping[str, Any] | None = None) -> str:
    """``head`` with the unit of the score ``key``; costs, which are no scores, say theirs themselves."""
    unit = '' if key.startswith('G ') else score_of(key, declared).unit
    return f'{head}, {unit}' if unit else head


def score_head(rows: Iterable[Row], score: Score) -> str:
    """Head of the main score's column: with its unit, and with the test set that it is of where there are several."""
    first = next((name for row in rows for run in row.runs for name in run.test.get('sets') or {}), None)
    head = f'{score.name} on {first}' if first else score.name
    return f'{head}, {score.unit}' if score.unit else head


def gain_head(score: Score) -> str:
    """Head of the column of gains, which says what is better where less is."""
    return f'gain over alone{f", {score.gain_unit}" if score.gain_unit else ""}{"" if score.higher_is_better else " (less is better)"}'


def extra_columns(rows: Iterable[Row], metric: str = 'mIoU') -> dict[str, str]:
    """``{head: key}`` of the scores that any of ``rows`` has beside the main one, which has its own column."""
    keys, heads = dict.fromkeys(key for row in rows for key in row.extra if key != metric), {key: head for head, key in ZERO_SHOT.items()}
    return {heads.get(key, key.removeprefix('mIoU.')): key for key in keys}


def digits(key: str) -> int:
    """How many digits after the point a score is shown with."""
    return 2 if key.startswith('G ') else score_of(key).digits


# -- sentences -------------------------------------------------------------------------------------------------------------
def tally(found: Iterable[tuple[Row, Score]]) -> str:
    """Sentence on how many gains of ``(row, score)`` are what; empty where there is none."""
    gains = Counter(benefit(row.gain, score) for row, score in found if row.gain and row.gain.value is not None)
    total = sum(gains.values())
    if not total:
        return ''
    better, worse = gains[1], gains[-1]
    return (
        f'Of {total} gain{"s" * (total != 1)}, {better} {"is" if better == 1 else "are"} better and {worse} worse '
        f'than alone, {total - better - worse} not told apart from zero.'
    )


def controls(panels: Iterable[Panel]) -> list[str]:
    """Sentences on the controls of a page: whether a case that must help did, and one that cannot did not; failures first."""
    told: dict[bool | None, list[str]] = {False: [], None: [], True: []}
    for panel in panels:
        for method, kind, holds in panel.controls:
            told[holds].append(f'{method} ({kind}) of {panel.student}')
    out = []
    if told[False]:
        out.append(f'CONTROLS FAILED: {", ".join(told[False])} did not come out as it must, so the other numbers are in doubt.')
    if told[None]:
        out.append(f'Controls without a verdict: {", ".join(told[None])}.')
    if told[True]:
        out.append(f'Controls that came out as they must: {", ".join(told[True])}.')
    return out


def panel_words(panel: Panel, score: Score, several: bool) -> list[str]:
    """Sentences on all methods of one student together; ``several``: whether the table has other students too."""
    whose = f'{panel.student}: ' if several else ''
    out = []
    if panel.residual_sd is not None:
        out.append(
            f'{whose}scores of one seed scatter by {panel.residual_sd:.{score.digits}f}{" " + score.gain_unit if score.gain_unit else ""} '
            f'around method plus seed ({panel.freedom} degrees of freedom).'
        )
    if panel.unequal is not None:
        out.append(
            f'{whose}the student alone scatters {panel.unequal:.1f} times as much as its methods, so that the common interval is too narrow for '
            'gains over it.'
        )
    if panel.seed_correlation is not None:
        out.append(f'{whose}correlation of equal seeds between methods: {panel.seed_correlation:.2f}.')
    if panel.apart:
        out.append(f'{whose}told apart from each other: {"; ".join(f"{a} is better than {b}" for a, b in panel.apart)}.')
    return [text[0].upper() + text[1:] if not whose else text for text in out]


def legend(rows: Sequence[Row], networks: bool = True) -> list[str]:
    """Sentences below a table, on the columns that it has; ``networks``: whether these are also of a network's costs."""
    out = []
    if any(key in row.extra for row in rows for key in ZERO_SHOT.values()):
        out.append(
            'S and U: mean IoU of the seen and of the unseen classes; hIoU: their harmonic mean; each the mean over '
            'seeds, – where no unseen class occurs in the test set.'
        )
    if any(row.step or row.staged for row in rows):
        staged = any(row.staged for row in rows)
        out.append(
            'Step ÷ alone: time of a training step to that of the student alone, taken in turns'
            + '; – for a run in stages, of which only the last was timed' * staged
            + '.'
        )
    if any(row.equal_cost for row in rows):
        out.append('Gain at equal cost: over the student alone trained so much longer that it took the same time, from its longer runs.')
    by_welch: dict[str, list[str]] = {}
    for row in rows:
        if row.gain and row.gain.value is not None and row.gain.fallback:
            by_welch.setdefault(row.gain.fallback, []).append(named(row))
    for reason, methods in by_welch.items():
        out.append(f"Interval from the two rows alone (Welch's; {reason}): {', '.join(dict.fromkeys(methods))}.")
    if any(row.gain and row.gain.value is not None and row.gain.by == 'name' for row in rows):
        out.append('Comparison by name (older version): these runs hold no config of their baseline, so it was found by names alone.')
    guessed = sorted({part for row in rows for part in row.named_by or ()})
    if guessed:
        out.append(f'Taken from file names, which nothing checks: {", ".join(guessed)}.')
    shapes = sorted({'x'.join(map(str, row.shape)) for row in rows if row.shape})
    if shapes and networks:
        out.append(f'FLOPs (a multiply-add is two) and latency: of one image of {" or ".join(shapes)}.')
    return out


def by_protocol(table: Table, score: Score) -> list[dict[str, Any]]:
    """``[dict(data, protocol, caption, legend, rows, panels)]``: one a protocol, because numbers of two protocols stand in no common
    column.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in table.rows:
        groups.setdefault((row.data, row.protocol), []).append(row)
    out = []
    for (data, protocol), own in groups.items():
        panels = [panel for panel in table.panels if (panel.data, panel.protocol) == (data, protocol)]
        told = [text for panel in panels for text in panel_words(panel, score, len(panels) > 1)]
        out.append(dict(data=data, protocol=protocol, caption=_caption(own), legend=legend(own) + told, told=told, rows=own, panels=panels))
    return out


def _caption(rows: Sequence[Row]) -> str:
    runs = [run for row in rows for run in row.done]
    if not runs:
        return 'No finished run yet.'
    machines = sorted({_machine(run.hardware or {}) for run in runs})
    iters = sorted({run.max_iters for row in rows if row.role == 'student' and row.budget == 1 for run in row.runs if run.max_iters})
    batches = sorted({run.batch for run in runs if run.batch})
    teachers = sorted({run.max_iters for row in rows if row.role == 'teacher' for run in row.runs if run.max_iters})
    images = sorted({run.test['images'] for run in runs if run.test.get('images')})
    learnt = f'{" and ".join(map(str, iters))} iterations of batch {" and ".join(map(str, batches))}' if iters else 'budget unknown'
    if teachers and teachers != iters:
        learnt += f' (teachers: {" and ".join(map(str, teachers))})'
    return f'{learnt}; {" and ".join(map(str, images))} test images; trained on {"; ".join(machines)}.'


def _machine(hardware: Mapping[str, Any]) -> str:
    threads = hardware.get('threads')
    return f'{hardware.get("gpu") or hardware.get("cpu")}, {threads} thread{"s" * (threads != 1)} per run'
