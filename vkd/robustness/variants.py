"""The test scores of a checkpoint under variants of its test images (corruptions, attacks): one at a time, kept, and what share of the
clean score is left.
"""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
from mmengine.dist import is_main_process

from ..build.checkpoint import resolve_checkpoint
from ..build.config import load_config
from ..build.identity import experiment_fingerprint, fingerprint
from ..errors import UserError
from ..io.files import read_json, sha256, write_json, write_text
from ..runs.evaluate import evaluate
from ..runs.formats import FORMAT


def evaluate_variants(cfg, checkpoint, file, variants, seed=0, launcher='none', tell=lambda line: None):
    """Tests ``checkpoint`` on the clean test set of ``cfg`` and on each of ``variants``, ``{'<name>-<strength>': function that changes a
    config}``, into ``file`` and a table beside it; what is there already is not tested again.

    Returns what the file holds: ``cells`` (``clean`` and each variant: scores as metrics.json has them) and ``summary``, see ``summarize``;
        None but on the first process.

    Raises UserError where the file holds results of another config, checkpoint or seed.
    """
    file, checkpoint = Path(file), resolve_checkpoint(checkpoint)
    facts = dict(
        format=FORMAT,
        config=str(cfg.filename),
        fingerprint=run_fingerprint(cfg, checkpoint, file.parent),
        checkpoint=checkpoint,
        checkpoint_sha256=sha256(checkpoint),
        seed=seed,
    )
    known = read_json(file) or {**facts, 'cells': {}}
    other = next((k for k in ('fingerprint', 'checkpoint_sha256', 'seed') if known.get(k) != facts[k]), None)
    if other:
        raise UserError(
            f'{str(file)!r} holds results of another {other.split("_")[0]} ({known.get(other)}, now {facts[other]}); choose another '
            '--work-dir, or remove the file.'
        )
    cells = known['cells']
    for key, change in [('clean', None), *variants.items()]:
        if key in cells:
            continue
        own = copy.deepcopy(cfg)
        if change:
            change(own)
        scores = evaluate(own, checkpoint, Path(file.parent, 'log'), launcher)
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


def run_fingerprint(cfg, checkpoint, folder):
    """Fingerprint of ``cfg``; of a checkpoint in its own run folder, that of the run, in which a suite's teachers and stages count by what
    they are, not by where their files lie.
    """
    own, run = fingerprint(cfg), read_json(Path(folder, 'run.json'))
    if not run or Path(checkpoint).resolve().parent != Path(folder).resolve():
        return own
    written = Path(folder, 'config.py')
    alike = experiment_fingerprint(cfg) == run.get('experiment') or written.is_file() and fingerprint(load_config(written)) == own
    return run['fingerprint'] if alike else own


def summarize(cells):
    """``dict(clean, corrupted, relative, by_corruption)``, mIoU in percent: the clean one, the mean over the kinds of variants of their
    means over strengths, and 100 times their ratio.
    """
    by = {}
    for key, scores in cells.items():
        if key != 'clean':
            by.setdefault(key.rsplit('-', 1)[0], []).append(scores['mIoU'])
    means = {name: round(float(np.mean(values)), 4) for name, values in by.items()}
    clean, mean = cells['clean']['mIoU'], float(np.mean(list(means.values()))) if means else None
    return dict(
        clean=clean,
        corrupted=mean and round(mean, 4),
        relative=round(100 * mean / clean, 4) if mean is not None and clean else None,
        by_corruption=means,
    )


def table(cells):
    """Markdown: mIoU of each variant at each strength, its mean, and what is left of the clean one, in percent."""
    found, grid = summarize(cells), {}
    for key, scores in cells.items():
        if key != 'clean':
            name, strength = key.rsplit('-', 1)
            grid.setdefault(name, {})[float(strength)] = scores['mIoU']
    frame = pd.DataFrame.from_dict(grid, orient='index')
    frame = frame[sorted(frame)]
    head = ['variant', *(f'{c:g}' for c in frame), 'mean', 'of clean']
    rows = [
        [name, *(f'{v:.2f}' for v in frame.loc[name]), f'{mean:.2f}', f'{100 * mean / found["clean"]:.1f} %' if found['clean'] else '-']
        for name, mean in found['by_corruption'].items()
    ]
    rows.append(
        [
            '**mean**',
            *(f'{v:.2f}' for v in frame.mean()),
            f'**{found["corrupted"]:.2f}**',
            f'**{found["relative"]:.1f} %**' if found['relative'] is not None else '-',
        ]
    )
    lines = ['| ' + ' | '.join(row) + ' |' for row in [head, ['---'] * len(head), *rows]]
    return f'mIoU on clean images: {found["clean"]:.2f}\n\n' + '\n'.join(lines) + '\n'
