"""What runs have logged over the iterations: read, and drawn."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import UserError, nearest
from ..io.files import read_json


def logged(folder: Path | str) -> Iterator[tuple[int, dict[str, float]]]:
    """Yields ``(iteration, {key: finite float})`` of each line that a run folder's logs hold, oldest first; a line cut off by a kill is
    left out.
    """
    for log in sorted(Path(folder).glob('*/vis_data/scalars.json')):
        for line in log.read_text(encoding='utf-8').splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            yield (
                int(record.get('step', record.get('iter', 0))),
                {k: float(v) for k, v in record.items() if isinstance(v, (int, float)) and math.isfinite(v)},
            )


def curves(folders, keys):
    """``{name: {key: (iterations [N], values [runs, N])}}`` of run folders: runs of one experiment that differ in their seed alone share a
    name.

    Only iterations that all runs of a name have logged are kept; where a run logged one twice, the later value counts.

    Raises:
        UserError: for a folder without a log, a key that none of its lines has, or runs that share no iteration.
    """
    groups = {}
    for folder in map(Path, folders):
        own, seen = {key: {} for key in keys}, Counter()
        for step, record in logged(folder):
            seen.update(record)
            for key in keys:
                if key in record:
                    own[key][step] = record[key]
        if not seen:
            raise UserError(f'Folder {str(folder)!r} holds no log of a run (*/vis_data/scalars.json); give folders of runs.')
        for key in keys:
            if not own[key]:
                raise UserError(f'Run {str(folder)!r} has logged no {key!r}; {nearest(key, seen)}.')
        info = read_json(folder / 'run.json') or {}
        groups.setdefault((info.get('experiment') or str(folder), info.get('method') or folder.name, info.get('student')), []).append(own)
    out, names = {}, Counter(name for _, name, _ in groups)
    for (_, name, student), runs in groups.items():
        if names[name] > 1:
            name = f'{name}, {student}' if f'{name}, {student}' not in out else f'{name}, {student} ({len(out) + 1})'
        steps = {key: sorted(set.intersection(*(set(r[key]) for r in runs))) for key in keys}
        empty = next((key for key in keys if not steps[key]), None)
        if empty:
            raise UserError(
                f'The {len(runs)} runs of {name!r} have no iteration in common at which {empty!r} was logged; give runs of one length and '
                'logging interval.'
            )
        out[name] = {key: (np.array(steps[key]), np.array([[r[key][s] for s in steps[key]] for r in runs])) for key in keys}
    return out


def draw_curves(found, out, smooth=1, label=None):
    """Writes one panel a name of ``curves``: each key's mean over its runs as a line, their range as a band; ``smooth`` averages that many
    logged values.
    """
    import matplotlib.figure  # which takes long, and tables read curves without it

    figure, axes = matplotlib.figure.Figure(figsize=(1 + 3.6 * len(found), 3.4), layout='constrained'), []
    axes = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axis, (name, own) in zip(axes, found.items(), strict=False):
        for colour, (key, (steps, values)) in zip(matplotlib.colormaps['tab10'].colors * len(own), own.items(), strict=False):
            if smooth > len(steps):
                raise UserError(
                    f'{name}: {len(steps)} values of {key!r} were logged, too few to average {smooth} of them; give a smaller --smooth.'
                )
            if smooth > 1:
                kernel = np.ones(smooth) / smooth
                steps, values = steps[smooth - 1 :], np.array([np.convolve(v, kernel, 'valid') for v in values])
            axis.plot(steps, values.mean(0), color=colour, label=key)
            axis.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)
        axis.set(title=f'{name} ({len(next(iter(own.values()))[1])} runs)', xlabel='iteration')
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(label or '')
    # below the panels, so that it covers no data
    figure.legend(*axes[-1].get_legend_handles_labels(), loc='outside lower center', ncols=3, fontsize='small')
    figure.savefig(out)
