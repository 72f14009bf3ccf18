"""How much of its mIoU a network keeps under common corruptions of the test images."""
import copy
from pathlib import Path

import numpy as np
import pandas as pd
from mmengine.dist import is_main_process

from .checkpoint import resolve_checkpoint
from .config import fingerprint
from .datasets.corruptions import CORRUPTIONS
from .errors import UserError, nearest
from .files import read_json, sha256, write_json, write_text
from .run import FORMAT, evaluate

SEVERITIES = (1, 2, 3, 4, 5)


def corrupted(dataset, name, severity, seed=0):
    """A data set config whose pipeline, or those of the data sets inside it, corrupts right behind the step that loads the image.

    Raises UserError where there is no pipeline.
    """
    dataset = copy.deepcopy(dict(dataset))
    inner = [k for k in ('datasets', 'dataset') if dataset.get(k)]
    if inner:
        key = inner[0]
        dataset[key] = [corrupted(d, name, severity, seed) for d in dataset[key]] if key == 'datasets' else corrupted(dataset[key], name, severity, seed)
    elif dataset.get('pipeline'):
        first, *rest = dataset['pipeline']
        dataset['pipeline'] = [first, dict(type='vkd.Corrupt', name=name, severity=severity, seed=seed), *rest]
    else:
        raise UserError(f'The test set ({dataset.get("type")}) has no pipeline in which to corrupt its images; give test_dataloader.dataset a pipeline that begins by loading.')
    return dataset


def evaluate_corruptions(cfg, checkpoint, folder, names=CORRUPTIONS, severities=SEVERITIES, seed=0, launcher='none', tell=lambda line: None):
    """Tests ``checkpoint`` on the clean test set of ``cfg`` and on each corruption at each severity, into ``folder / 'corruptions.json'``; what is there already is not tested again.

    Returns what the file holds: ``cells`` (``clean`` and ``<name>-<severity>``: scores as metrics.json has them) and ``summary``, see ``summarize``; None but on the first process.

    Raises:
        UserError: for an unknown corruption or severity, or none, or a folder with results of another config, checkpoint or seed.
    """
    wrong = next((n for n in names if n not in CORRUPTIONS), None) or next((str(s) for s in severities if s not in SEVERITIES), None)
    if not names or not severities:
        raise UserError('No corruption or no severity is named; name some, such as fog at 1, 3 and 5.')
    if wrong:
        raise UserError(f'Corruption or severity {wrong!r} is unknown; {nearest(wrong, [*CORRUPTIONS, *SEVERITIES])}.')
    file, checkpoint = Path(folder, 'corruptions.json'), resolve_checkpoint(checkpoint)
    facts = dict(format=FORMAT, config=str(cfg.filename), fingerprint=fingerprint(cfg), checkpoint=checkpoint, checkpoint_sha256=sha256(checkpoint), seed=seed)
    known = read_json(file) or {**facts, 'cells': {}}
    other = next((k for k in ('fingerprint', 'checkpoint_sha256', 'seed') if known.get(k) != facts[k]), None)
    if other:
        raise UserError(f'{str(file)!r} holds results of another {other.split("_")[0]} ({known.get(other)}, now {facts[other]}); choose another --work-dir, or remove the file.')
    cells = known['cells']
    for key, name, severity in [('clean', None, None), *((f'{n}-{s}', n, s) for n in names for s in severities)]:
        if key in cells:
            continue
        own = copy.deepcopy(cfg)
        if name:
            own.test_dataloader.dataset = corrupted(own.test_dataloader.dataset, name, severity, seed)
        scores = evaluate(own, checkpoint, Path(folder, 'log'), launcher)
        if is_main_process():
            cells[key] = scores
            write_json(file, dict(facts, cells=cells, summary=summarize(cells)))
            tell(f'{key}: mIoU {scores["mIoU"]:.2f}')
    if not is_main_process():
        return None
    out = dict(facts, cells=cells, summary=summarize(cells))
    write_json(file, out)
    write_text(file.with_suffix('.md'), table(cells))
    return out


def summarize(cells):
    """``dict(clean, corrupted, relative, by_corruption)``, mIoU in percent: the clean one, the mean over the corruptions of their means over severities, and 100 times their ratio."""
    by = {}
    for key, scores in cells.items():
        if key != 'clean':
            by.setdefault(key.rsplit('-', 1)[0], []).append(scores['mIoU'])
    means = {name: round(float(np.mean(values)), 4) for name, values in by.items()}
    clean, mean = cells['clean']['mIoU'], float(np.mean(list(means.values()))) if means else None
    return dict(clean=clean, corrupted=mean and round(mean, 4), relative=round(100 * mean / clean, 4) if mean is not None and clean else None, by_corruption=means)


def table(cells):
    """Markdown: mIoU of each corruption at each severity, its mean, and what is left of the clean one, in percent."""
    found, grid = summarize(cells), {}
    for key, scores in cells.items():
        if key != 'clean':
            name, severity = key.rsplit('-', 1)
            grid.setdefault(name, {})[int(severity)] = scores['mIoU']
    frame = pd.DataFrame.from_dict(grid, orient='index')
    frame = frame[sorted(frame)]
    head = ['corruption', *(str(c) for c in frame), 'mean', 'of clean']
    rows = [[name, *(f'{v:.2f}' for v in frame.loc[name]), f'{mean:.2f}', f'{100 * mean / found["clean"]:.1f} %' if found['clean'] else '-'] for name, mean in found['by_corruption'].items()]
    rows.append(['**mean**', *(f'{v:.2f}' for v in frame.mean()), f'**{found["corrupted"]:.2f}**', f'**{found["relative"]:.1f} %**' if found['relative'] is not None else '-'])
    lines = ['| ' + ' | '.join(row) + ' |' for row in [head, ['---'] * len(head), *rows]]
    return f'mIoU on clean images: {found["clean"]:.2f}\n\n' + '\n'.join(lines) + '\n'
