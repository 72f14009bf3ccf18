"""Run folders -> tables (md, csv, json) and one self-contained page, with intervals over seeds and gains that name their baseline."""
import base64
import io
import math
import os
import re
import shlex
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader
from PIL import Image
from scipy import stats

from .curves import logged
from .errors import UserError
from .files import read_json, sealed, sha256, write_json, write_text
from .run import FORMAT, KEY, run_digest
from .submit import read_submission

#: columns that stand in a table only where one of its runs has them: head and key in metrics.json
ZERO_SHOT = {'S': 'mIoU_seen', 'U': 'mIoU_unseen', 'hIoU': 'hIoU'}
#: likewise, of networks of super-resolution
MULTIPLY_ADDS = 'G multiply-adds at 1280x720'


# -- statistics ------------------------------------------------------------------------------------------------------------
def mean_interval(values, level=0.95):
    """``(mean, half width)`` of Student's t interval for the mean of ``values``; half width None for fewer than two."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return float(values.mean()), None
    return float(values.mean()), float(stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))


def gain_interval(values, base, level=0.95):
    """``(difference of means, half width)`` by Welch's t interval (unequal variances). Raises UserError where either has fewer than two values.

    Runs of equal seeds are not treated as pairs: a seed fixes the initial weights and the order of the data, but how results vary afterwards is hardly shared.
    """
    values, base = np.asarray(values, dtype=float), np.asarray(base, dtype=float)
    if len(values) < 2 or len(base) < 2:
        raise UserError(f'A gain with an interval needs two seeds of each side; {len(values)} and {len(base)} were given.')
    a, b = values.var(ddof=1) / len(values), base.var(ddof=1) / len(base)
    gain = float(values.mean() - base.mean())
    if a + b == 0:
        return gain, 0.0
    freedom = (a + b) ** 2 / (a ** 2 / (len(values) - 1) + b ** 2 / (len(base) - 1))
    return gain, float(stats.t.ppf((1 + level) / 2, freedom) * math.sqrt(a + b))


# -- reading ---------------------------------------------------------------------------------------------------------------
def read_runs(folder):
    """``(runs, notes)``: every run folder directly below ``folder``, or below the folders in it, as a dict; notes are sentences on what was left out.

    A run with peers counts once for each of them, and for their ensemble.
    """
    runs, notes, seen = [], [], {}
    for file in sorted(Path(folder).glob('*/run.json')) + sorted(Path(folder).glob('*/*/run.json')):
        own = file.parent
        name = '/'.join(own.relative_to(folder).parts)
        try:
            facts, state, metrics = (_part(own / f'{part}.json') for part in ('run', 'state', 'metrics'))
        except ValueError as error:
            notes.append(f'{name} was left out: {error}.')
            continue
        missing = {*KEY, 'seed', 'role', 'run'} - set(facts)
        if missing:
            notes.append(f'{name} was left out: its run.json lacks {sorted(missing)[0]!r}; run it again.')
            continue
        if facts['role'] == 'stage':  # it has no task, hence no score
            continue
        if 'digest' in metrics and metrics['digest'] != run_digest(facts, metrics):
            notes.append(f'{name} was left out: its run.json or metrics.json was changed after the run (the digest in metrics.json does not fit); run it again.')
            continue
        run = dict(facts, run=name, folder=own, state=state.get('state', 'missing'), seconds=state.get('seconds'), lines=state.get('lines') or [], data_sha256=metrics.get('data_sha256'), test=metrics.get('test') or {}, val=metrics.get('val') or {})
        same = (*(facts[k] for k in KEY), facts['role'], facts['seed'], facts.get('experiment') or facts.get('fingerprint'))
        if same in seen:
            notes.append(f'{name} was left out: it repeats {seen[same]}, with the same seed and config.')
            continue
        seen[same] = name
        for part in ('corruptions', 'attacks'):
            run[part], left_out = _variants(own / f'{part}.json', facts)
            notes += [f'{part.capitalize()} of {name} were left out: {left_out}.'] * bool(left_out)
        runs += by_peer(run)
    for file in sorted(Path(folder).glob('external/*.json')):
        for run in read_submission(file)['runs']:
            runs.append(dict(run, folder=file.parent))
    # a cell that never started because its teacher failed has a state, but no run.json
    for file in sorted(Path(folder).glob('*/state.json')):
        if not (file.parent / 'run.json').is_file():
            try:
                notes.append(f'{file.parent.name} failed before it started: {(_part(file).get("lines") or ["no message"])[-1]}')
            except ValueError as error:
                notes.append(f'{file.parent.name} was left out: {error}.')
    return runs, notes


def _variants(file, facts):
    """``(what corruptions.json or attacks.json of a run holds, why it was left out)``, the one or the other."""
    try:
        found = _part(file)
    except ValueError as error:
        return {}, str(error)
    if found and found.get('fingerprint') != facts.get('fingerprint'):
        return {}, f'{file.name} is of another config; test the checkpoint of this run again'
    return found, None


def _part(file):
    """One json file of a run; empty where there is none. Raises ValueError, which says what is wrong with it, for a broken one or one of another format."""
    try:
        content = read_json(file, {})
    except ValueError as error:
        raise ValueError(f'its {file.name} is broken ({error}); run it again') from None
    if content and (not isinstance(content, dict) or content.get('format') != FORMAT):
        found = (content.get('format'), content.get('vkd')) if isinstance(content, dict) else (type(content).__name__, None)
        raise ValueError(f'its {file.name} has format {found[0]!r} (vkd {found[1]!r}), this vkd reads format {FORMAT}; run it again, or read it with the vkd that wrote it')
    return content


def by_peer(run):
    """``[run]``, or one a peer: each with its own scores, its own name as ``student`` and the others' as ``teacher``; ``role`` of the mean of probabilities is 'ensemble'."""
    peers = run['test'].get('peers')
    if not peers:
        return [run]
    names = [run['student'], *str(run['teacher']).split('+')]
    network = dict(zip(run.get('roles') or ['student'], names))
    out = []
    for label, own in peers.items():
        role = own['role']
        student = network.get(role, label) if role != 'ensemble' else ' + '.join(names)
        others = [n for r, n in network.items() if r != role] if role != 'ensemble' else []  # frozen teachers too
        out.append(dict(run, run=f'{run["run"]}_{label}', label=label, network=role, role='ensemble' if role == 'ensemble' else 'student', student=student, teacher='+'.join(others) or None,
                        test=own, val=(run['val'].get('peers') or {}).get(label) or {}, **{part: run.get(part) if role == 'student' else {} for part in ('corruptions', 'attacks')}))
    return out


def read_curve(run):
    """``dict(loss={step: value}, mIoU={step: value}, PSNR={step: value})`` of a run; of a step that was run twice, the later counts.

    ``loss`` is the network's own of the task (``decode.loss_ce``, ``loss_pixel`` and the like), which runs with other methods share; all terms where no such is logged.
    """
    folder, label, network = run['folder'], run.get('label'), run.get('network', 'student')
    score, own = f'{label}/mIoU' if label else 'mIoU', '' if network == 'student' else f'{network}.'
    out = dict(loss={}, mIoU={}, PSNR={})
    for step, record in logged(folder):
        task = [v for k, v in record.items() if re.match(rf'{re.escape(own)}((decode|aux)\w*\.loss|loss_pixel$)', k)]
        record = {**record, **({'loss': sum(task)} if task else {}), **({'mIoU': record[score]} if score in record else {})}
        for key in out:
            if key in record:
                out[key][step] = record[key]
    return out


# -- tables ----------------------------------------------------------------------------------------------------------------
def table(runs, profile=None, metric='mIoU'):
    """One row a (data, protocol, student, teacher, method), student alone first, best gain next; a list of dicts.

    Runs whose configs differ in more than the seed and the place of the teacher stand in rows of their own, told apart by ``variant``. ``gain`` is None and ``withheld`` says why, unless the
    same student was run alone on the same data, protocol, iterations and batch, both with two seeds or more.
    """
    profile = profile or {}
    models, steps = profile.get('models', {}), profile.get('steps', {})
    groups = {}
    for run in runs:
        groups.setdefault((*(run[k] for k in KEY), run['role'], run.get('external'), run.get('experiment')), []).append(run)
    names = Counter(key[:-1] for key in groups)
    rows = []
    for (*key, role, external, experiment), members in groups.items():
        data, protocol, student, teacher, method = key
        done = [r for r in members if r['state'] == 'done' and isinstance(r['test'].get(metric), (int, float))]
        values = [r['test'][metric] for r in done]
        row = dict(zip(KEY, key), role=role, external=external, variant=experiment[:6] if experiment and names[(*key, role, external)] > 1 else None, seeds=[r['seed'] for r in done], values=values, runs=[_run_facts(r) for r in members],
                   mean=None, interval=None, gain=None, gain_interval=None, withheld=None, extra={}, synthetic_text=any(r.get('synthetic_text') for r in members), images=done[0]['test'].get('images') if done else None,
                   failed=[r['run'] for r in members if r['state'] == 'failed'], unfinished=[r['run'] for r in members if r['state'] not in ('done', 'failed')])
        if values:
            row['mean'], row['interval'] = mean_interval(values)
            row.update({key: float(np.mean(found)) for key, found in _gathered([{k: r['test'].get(k) for k in ('mAcc', 'aAcc')} for r in done]).items()})
            row['extra'] = {key: float(np.mean(found)) for key, found in _gathered([extra_scores(r) for r in done]).items()}
        if role == 'student' and method != 'alone':
            alone = [r for r in runs if (r['data'], r['protocol'], r['student'], r['method'], r['role'], r['state']) == (data, protocol, student, 'alone', 'student', 'done')
                     and r.get('external') == external and isinstance(r['test'].get(metric), (int, float))]
            alike = [r for r in alone if done and all(r.get(k) == done[0].get(k) for k in ('max_iters', 'batch_size'))]
            base = [r['test'][metric] for r in alike]
            row['baseline'] = len(base)
            if not values:
                row['withheld'] = 'no finished run'
            elif not alone:
                row['withheld'] = 'student alone was not run here'
            elif not alike:
                row['withheld'] = f'student alone was run for {alone[0].get("max_iters")} iterations of batch {alone[0].get("batch_size")}, not {done[0].get("max_iters")} of {done[0].get("batch_size")}'
            elif len({r.get('experiment') for r in alike}) > 1:
                row['withheld'] = 'student alone was run with configs that differ'
            elif min(len(values), len(base)) < 2:
                row['withheld'] = 'needs a second seed' if len(values) < 2 else 'baseline needs a second seed'
            else:
                row['gain'], row['gain_interval'] = gain_interval(values, base)
        row.update({k: (models.get(student) or {}).get(k) for k in ('params', 'flops', 'latency_ms')})
        if (models.get(student) or {}).get('multiply_adds_720p'):
            row['extra'][MULTIPLY_ADDS] = models[student]['multiply_adds_720p'] / 1e9
        step = steps.get('|'.join((student, teacher or '-', method)))
        row['step'] = step.get('ratio') if step else None
        row['classes'], row['per_class'] = _per_class(done)
        rows.append(row)
    order = {'teacher': 0, 'alone': 1}
    return sorted(rows, key=lambda r: (r['data'], r['protocol'], r['role'] != 'teacher', r['student'], order.get(r['method'], 2), -(r['gain'] if r['gain'] is not None else -1e9), r['method']))


def extra_scores(run):
    """``{column: score}`` that only some runs have: of seen and unseen classes, of each domain, and under corruptions and attacks, where ``corruptions.json`` and ``attacks.json`` lie beside the run's other files."""
    test, corrupted = run['test'], run.get('corruptions') or {}
    out = {**{key: test.get(key) for key in ZERO_SHOT.values()}, **{f'mIoU.{name}': scores.get('mIoU') for name, scores in (test.get('domains') or {}).items()}}
    for i, (name, own) in enumerate((test.get('sets') or {}).items()):  # of restoration; PSNR of the first is the main metric
        out.update({f'{name} {key}': own.get(key) for key in ('PSNR', 'SSIM', 'RMSE')[i == 0:] if key in own})
    if corrupted.get('summary'):
        cells = [key.rsplit('-', 1) for key in corrupted['cells'] if key != 'clean']
        names, severities = sorted({name for name, _ in cells}), sorted({severity for _, severity in cells})
        under = f'{", ".join(names) if len(names) < 4 else f"{len(names)} corruptions"}, severity {", ".join(severities)}'  # other corruptions are another column
        out.update({f'mIoU under {under}': corrupted['summary']['corrupted'], f'% kept under {under}': corrupted['summary']['relative']})
    for cell, own in ((run.get('attacks') or {}).get('cells') or {}).items():
        if cell != 'clean':
            name, eps = cell.rsplit('-', 1)
            out[f'mIoU under {name.upper().replace("PGD", "PGD-")}, {eps}/255'] = own.get('mIoU')
    return out


def _gathered(scores):
    """``{key: [value]}`` of a list of dicts, numbers only."""
    out = {}
    for own in scores:
        for key, value in own.items():
            if isinstance(value, (int, float)):
                out.setdefault(key, []).append(value)
    return out


def _run_facts(run):
    """What leaderboard.json keeps of a run: enough to work its row out again."""
    kept = ('run', 'seed', 'state', 'command', 'config', 'fingerprint', 'experiment', 'seconds', 'git', 'versions', 'hardware', 'lines', 'max_iters', 'batch_size', 'teacher_checkpoint', 'teacher_sha256', 'data_sha256',
            'synthetic_text', 'corruptions', 'attacks', 'test', 'val')
    return {k: run.get(k) for k in kept}


def _per_class(done):
    lists = [(r['test'].get('classes'), r['test'].get('IoU')) for r in done if r['test'].get('IoU')]
    lists = [(classes, iou) for classes, iou in lists if classes == lists[0][0] and len(iou) == len(classes)]
    if not lists:
        return [], []
    values = np.array([[np.nan if v is None else v for v in iou] for _, iou in lists], dtype=float)
    known = (~np.isnan(values)).any(0)
    mean = np.full(values.shape[1], np.nan)
    mean[known] = np.nanmean(values[:, known], axis=0)
    return lists[0][0], [None if np.isnan(v) else float(v) for v in mean]


def verdict(row):
    """One sentence on a gain, that claims no more than the interval does."""
    if row['gain'] is None:
        return f'withheld: {row["withheld"]}' if row['withheld'] else ''
    if abs(row['gain']) <= row['gain_interval']:
        return 'not told apart from zero'
    return 'better than alone' if row['gain'] > 0 else 'worse than alone'


def named(row):
    """The method of a row, with what tells it from another row of that name, whether its text embeddings were made up, and who sent it."""
    return row['method'] + (f' [{row["variant"]}]' if row['variant'] else '') + (' (synthetic text)' if row['synthetic_text'] else '') + (f' (external: {row["external"]})' if row.get('external') else '')


def extra_columns(rows, metric='mIoU'):
    """``{head: key}`` of the scores that any of ``rows`` has beside the main metric, which has its own column."""
    keys, heads = dict.fromkeys(key for r in rows for key in r['extra'] if key != metric), {key: head for head, key in ZERO_SHOT.items()}
    return {heads.get(key, key.removeprefix('mIoU.')): key for key in keys}


def digits(key):
    """How many digits after the point a score is shown with."""
    return 4 if key.endswith('SSIM') else 2


def number(value, digits=2, sign=False):
    return '–' if value is None else f'{value:{"+" if sign else ""}.{digits}f}'.replace('-', '−')


def human(value):
    """``12345678`` -> ``12.3 M``."""
    if value is None:
        return '–'
    for size, unit in ((1e9, 'G'), (1e6, 'M'), (1e3, 'k')):
        if value >= size:
            return f'{value / size:.3g} {unit}'
    return f'{value:.3g}'


def _with_interval(mean, half, sign=False):
    return number(mean, sign=sign) + (f' ± {number(half)}' if half is not None else '')


def frame(rows, metric='mIoU'):
    """The table as a pandas DataFrame of plain values."""
    extra = extra_columns(rows, metric)
    return pd.DataFrame([{
        'data': r['data'], 'protocol': r['protocol'], 'role': r['role'], 'student': r['student'], 'teacher': r['teacher'], 'method': named(r), 'seeds': len(r['seeds']),
        metric: r['mean'], f'{metric}_interval95': r['interval'], 'gain': r['gain'], 'gain_interval95': r['gain_interval'], 'gain_note': verdict(r), 'mAcc': r.get('mAcc'), 'aAcc': r.get('aAcc'), **{key: r['extra'].get(key) for key in extra.values()},
        'params': r['params'], 'flops': r['flops'], 'latency_ms': r['latency_ms'], 'step_ratio': r['step'], 'failed': len(r['failed']), 'unfinished': len(r['unfinished'])} for r in rows])


def _cell(text):
    """Text of a markdown cell: what a label holds must not end the cell, nor be html."""
    return str(text).replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;').replace('|', '\\|').replace('\n', ' ').replace('`', "'")


def markdown(title, sections, notes, metric='mIoU'):
    """The tables of ``sections`` as a markdown page."""
    lines = [f'# {_cell(title)}', '']
    for section in sections:
        extra = extra_columns(section['rows'], metric)
        lines += [f'## {_cell(section["data"])}, protocol {_cell(section["protocol"])}', '', section['caption'], '',
                  f'| student | teacher | method | seeds | {metric} (95 %) | {"".join(f"{_cell(head)} | " for head in extra)}gain over alone (95 %) | parameters | FLOPs | latency | step ÷ alone |',
                  '|---' * (10 + len(extra)) + '|']
        for r in section['rows']:
            gain = _with_interval(r['gain'], r['gain_interval'], True) + f' ({verdict(r)})' if r['gain'] is not None else verdict(r) or '–'
            status = ''.join([f'; {len(r["failed"])} failed' if r['failed'] else '', f'; {len(r["unfinished"])} unfinished' if r['unfinished'] else ''])
            lines.append('| ' + ' | '.join(_cell(x) for x in (
                r['student'], r['teacher'] or '–', named(r), f'{len(r["seeds"])}{status}', _with_interval(r['mean'], r['interval']), *(number(r['extra'].get(key), digits(key)) for key in extra.values()), gain, human(r['params']), human(r['flops']),
                '–' if r['latency_ms'] is None else f'{number(r["latency_ms"], 1)} ms', number(r['step']))) + ' |')
        lines.append('')
        classes = next((r['classes'] for r in section['rows'] if r['classes']), [])
        if classes:
            lines += ['IoU a class, mean over seeds:', '', '| student | method | ' + ' | '.join(_cell(c) for c in classes) + ' |', '|---' * (2 + len(classes)) + '|']
            lines += ['| ' + ' | '.join([_cell(r['student']), _cell(named(r)), *(number(v, 1) for v in r['per_class'])]) + ' |' for r in section['rows'] if r['per_class']] + ['']
        lines += ['Each run, and the command that makes it again:', '', f'| run | {metric} | command |', '|---|---|---|']
        lines += [f'| {_cell(f["run"])} | {number(f["test"].get(metric)) if f["state"] == "done" else _cell(f["state"])} | `{_cell(f["command"])}` |' for r in section['rows'] for f in r['runs']] + ['']
    lines += [f'- {_cell(n)}' for n in notes] + [''] * bool(notes)
    return '\n'.join(lines)


# -- the page --------------------------------------------------------------------------------------------------------------
def _png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, 'PNG', optimize=True)
    return 'data:image/png;base64,' + base64.b64encode(file.getvalue()).decode()


def _jpeg(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, 'JPEG', quality=85)
    return 'data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode()


def _load_pictures(run):
    file, network = run['folder'] / 'pictures.npz', run.get('network', 'student')
    if not file.is_file():
        return None
    with np.load(file, allow_pickle=False) as content:
        found = {k: content[k] for k in content.files}
    return {**found, 'pred': found.get(f'pred_{network}', found['pred'])}


def nearer(alone, distilled, tolerance=2):
    """Where the distilled student's image is nearer to the truth than the student's alone by more than ``tolerance`` grey levels (blue), and where it is farther (orange); ``[N, H, W, 3]``."""
    truth = alone['truth'].astype(float)
    gain = (np.abs(alone['pred'] - truth) - np.abs(distilled['pred'] - truth)).mean(-1)
    out = np.full(truth.shape, 128, np.uint8)
    out[gain > tolerance], out[gain < -tolerance] = (0, 114, 178), (213, 94, 0)
    return out


def gallery(rows, runs, limit=3):
    """Rows of pictures: image, truth, student alone, the method with the best mean, and where those two differ in being right.

    Returns ``(list of lists of dict(src, title), classes with their colours)``; empty where pictures are missing or do not belong together.
    """
    by_name = {r['run']: r for r in runs}

    def first(row):
        done = [f for f in row['runs'] if f['state'] == 'done'] if row else []
        return _load_pictures(by_name[done[0]['run']]) if done else None
    alone = next((r for r in rows if r['method'] == 'alone' and r['role'] == 'student' and r['mean'] is not None), None)
    distilled = [r for r in rows if alone and r['role'] == 'student' and r['method'] != 'alone' and r['student'] == alone['student'] and r['mean'] is not None]
    best = max(distilled, key=lambda r: r['mean'], default=None)
    a, b = first(alone), first(best)
    if not a or not b or a['image'].shape != b['image'].shape or not np.array_equal(a['truth'], b['truth']):
        return [], []
    if 'palette' not in a:  # images were restored
        shown = [(str(a.get('image_name', 'bicubic')), a['image']), ('truth', a['truth']), (f'{alone["student"]} alone', a['pred']), (f'{best["student"]} + {best["method"]}', b['pred']), ('difference', nearer(a, b))]
        return [[dict(src=_png(images[i]), title=title) for title, images in shown] for i in range(min(limit, len(a['image'])))], []
    palette = np.zeros((256, 3), np.uint8)
    palette[:len(a['palette'])] = a['palette']
    out = []
    for image, truth, one, two in list(zip(a['image'], a['truth'], a['pred'], b['pred']))[:limit]:
        counted = truth != 255
        difference = np.full((*truth.shape, 3), 128, np.uint8)
        difference[counted & (one == truth) & (two != truth)] = (213, 94, 0)
        difference[counted & (one != truth) & (two == truth)] = (0, 114, 178)
        difference[~counted] = 90
        out.append([dict(src=_jpeg(image), title='image'), dict(src=_png(palette[truth]), title='truth'), dict(src=_png(palette[one]), title=f'{alone["student"]} alone'),
                    dict(src=_png(palette[two]), title=f'{best["student"]} + {best["method"]}'), dict(src=_png(difference), title='difference')])
    classes = [dict(name=n, colour='#%02x%02x%02x' % tuple(int(v) for v in c)) for n, c in zip(alone['classes'], a['palette'])]
    return out, classes


#: Okabe and Ito's colours, which colour-blind readers can tell apart
COLOURS = ('#999999', '#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8a6d3b', '#7f5fc9')


def curve_svg(curves, key, width=560, height=240):
    """Training curves as an SVG drawing in the text's colour; ``curves``: ``[(label, colour, [dict of step: value, one a seed])]``."""
    points = [(s, v) for _, _, seeds in curves for seed in seeds for s, v in seed.items()]
    if len({s for s, _ in points}) < 2:
        return None
    xs, ys = np.array([p[0] for p in points], float), np.array([p[1] for p in points], float)
    low, high = float(ys.min()), float(np.quantile(ys, 0.99) if key == 'loss' else ys.max())
    high = high if high > low else low + 1
    left, right, top, bottom = 46, 8, 8, 30

    def at(step, value):
        x = left + (step - xs.min()) / (xs.max() - xs.min()) * (width - left - right)
        y = top + (1 - (min(value, high) - low) / (high - low)) * (height - top - bottom)
        return f'{x:.1f},{y:.1f}'
    parts = []
    for k in range(5):
        value = low + (high - low) * k / 4
        y = float(at(xs.min(), value).split(',')[1])
        parts.append(dict(y=round(y, 1), text=f'{value:.3g}'))
    lines = []
    for label, colour, seeds in curves:
        for seed in seeds:
            if seed:
                lines.append(dict(colour=colour, label=label, points=' '.join(at(s, v) for s, v in _thin(_smooth(sorted(seed.items()), 9 if key == 'loss' else 1)))))
    ticks = [dict(x=round(float(at(s, low).split(',')[0]), 1), text=f'{s:g}') for s in np.linspace(xs.min(), xs.max(), 5).round()]
    return dict(width=width, height=height, left=left, right=right, bottom=bottom, y=parts, x=ticks, lines=lines, key=key)


def _smooth(pairs, window):
    values = np.array([v for _, v in pairs])
    half = window // 2
    return [(s, float(values[max(0, i - half):i + half + 1].mean())) for i, (s, _) in enumerate(pairs)]


def _thin(pairs, most=150):
    step = max(1, len(pairs) // most)
    return [p for i, p in enumerate(pairs) if i % step == 0 or i == len(pairs) - 1]


def _caption(rows):
    runs = [f for r in rows for f in r['runs'] if f['state'] == 'done']
    if not runs:
        return 'No finished run yet.'
    machines = sorted({f'{(f["hardware"] or {}).get("gpu") or (f["hardware"] or {}).get("cpu")}, {(f["hardware"] or {}).get("threads")} thread{"s" * ((f["hardware"] or {}).get("threads") != 1)} a run' for f in runs})
    iters = sorted({f['max_iters'] for r in rows if r['role'] == 'student' for f in r['runs'] if f['max_iters']})
    teachers = sorted({f['max_iters'] for r in rows if r['role'] == 'teacher' for f in r['runs'] if f['max_iters']})
    images = sorted({f['test'].get('images') for f in runs if f['test'].get('images')})
    learnt = f'{" and ".join(map(str, iters))} iterations of batch {" and ".join(str(b) for b in sorted({f["batch_size"] for f in runs if f["batch_size"]}))}' if iters else 'budget unknown'
    if teachers and teachers != iters:
        learnt += f' (teachers: {" and ".join(map(str, teachers))})'
    return f'{learnt}; {" and ".join(map(str, images))} test images; trained on {"; ".join(machines)}.'


def by_protocol(rows):
    """``[dict(data, protocol, caption, rows)]``: one a protocol, because numbers of two protocols stand in no common column."""
    groups = {}
    for row in rows:
        groups.setdefault((row['data'], row['protocol']), []).append(row)
    return [dict(data=data, protocol=protocol, caption=_caption(own), rows=own) for (data, protocol), own in groups.items()]


def illustrated(section, runs):
    """A section of ``by_protocol`` with ``gallery``, ``palette`` and ``curves``, from the folders of ``runs``."""
    own, by_name = section['rows'], {r['run']: r for r in runs}
    students = list(dict.fromkeys(r['student'] for r in own if r['role'] == 'student'))
    galleries = [gallery([r for r in own if r['student'] == student], runs, limit=3 if len(students) == 1 else 2) for student in students]
    drawn = []
    for student in students:
        curves = [(r['method'], COLOURS[i % len(COLOURS)], [read_curve(by_name[f['run']]) for f in r['runs']])
                  for i, r in enumerate(x for x in own if x['student'] == student and x['role'] == 'student')]
        for key, what in (('loss', 'training loss of the task, smoothed'), ('mIoU', 'mIoU on validation images'), ('PSNR', 'PSNR on validation images, dB')):
            svg = curve_svg([(label, colour, [c[key] for c in seeds]) for label, colour, seeds in curves], key)
            if svg:
                drawn.append(dict(svg, title=f'{student}: {what}', legend=[(label, colour) for label, colour, _ in curves]))
    return dict(section, gallery=[row for rows, _ in galleries for row in rows], palette=next((c for _, c in galleries if c), []), curves=drawn)


def build(folder, out=None, title=None, metric=None):
    """Writes leaderboard.md, .csv, .json and .html of the runs below ``folder`` into ``out`` (default: ``folder``). Returns ``{kind: path}``.

    Raises UserError where there is no run.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f'Folder {str(folder)!r} does not exist; give a suite folder or a folder of run folders.')
    out = Path(out or folder)
    suite, profile = (_suite_part(folder / name) for name in ('suite.json', 'profile.json'))
    title, metric = title or suite.get('title') or folder.name, metric or suite.get('main_metric') or 'mIoU'
    runs, notes = read_runs(folder)
    if not runs:
        raise UserError(f'Folder {str(folder)!r} holds no run of this vkd ({notes[0] if notes else "no run.json below it"}); run a suite, or tools/train.py.')
    cells = suite.get('cells') or []
    if cells:
        present = {r['run'] for r in runs}
        pending = [c for c in cells if c not in present and not (folder / c / 'state.json').is_file()]
        if pending:
            notes.append(f'{len(pending)} of {len(cells)} runs have not started: {", ".join(pending)}.')
    for run in runs:
        if run['state'] == 'failed':
            notes.append(f'{run["run"]} failed: {run["lines"][-1] if run["lines"] else "no message"}')
    # a page that is written elsewhere may travel without the run folders; it holds the configs itself
    links = {r['run']: os.path.relpath(r['folder'] / 'config.py', out) for r in runs if out.resolve() in (folder.resolve(), *folder.resolve().parents)}
    configs = {r['run']: (r['folder'] / 'config.py').read_text(encoding='utf-8') if (r['folder'] / 'config.py').is_file() else '' for r in runs}
    rows = table(runs, profile, metric)
    sections = [illustrated(s, runs) for s in by_protocol(rows)]
    paths = {kind: str(out / f'leaderboard.{kind}') for kind in ('md', 'csv', 'json', 'html')}
    write_text(paths['md'], markdown(title, sections, notes, metric))
    write_text(paths['csv'], frame(rows, metric).to_csv(index=False))
    environment = Environment(loader=PackageLoader('vkd', 'templates'), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number, human=human, digits=digits, column=lambda head: (head, ''))
    page = environment.get_template('leaderboard.html').render(
        title=title, metric=metric, sections=sections, notes=notes, suite=suite, profile=profile, verdict=verdict, named=named, extra_columns=extra_columns, first=lambda row: next((f for f in row['runs'] if f['state'] == 'done'), row['runs'][0]), configs=configs, links=links, with_interval=_with_interval, quote=shlex.quote)
    write_text(paths['html'], page)
    write_json(paths['json'], with_pages(dict(format=FORMAT, title=title, metric=metric, command=suite.get('command'), rows=rows, profile=profile, notes=notes), paths))
    return paths


def with_pages(content, paths):
    """leaderboard.json's ``content``, sealed, with the digests of the other files of its page."""
    return sealed(finite(dict(content, files={kind: sha256(path) for kind, path in paths.items() if kind != 'json'})))


def _suite_part(file):
    """A json file of the suite: a dict, empty where there is none. Raises UserError for a broken one."""
    try:
        content = read_json(file, {})
    except ValueError as error:
        raise UserError(f'{str(file)!r} is broken ({error}); remove it, and start the suite again.') from error
    if not isinstance(content, dict) or not all(isinstance(content.get(k, {}), dict) for k in ('models', 'steps')):
        raise UserError(f'{str(file)!r} is not what vkd writes there; remove it, and start the suite again.')
    return content


def finite(value):
    """json without NaN or paths."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
