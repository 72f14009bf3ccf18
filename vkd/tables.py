"""Runs -> rows -> md, csv and json: intervals over seeds, and gains that name their baseline or say why they are withheld."""

import math
import re
from collections import Counter

import numpy as np
import pandas as pd

from .files import sealed, sha256
from .intervals import gain_interval, mean_interval
from .run import KEY

#: columns that stand in a table only where one of its runs has them: head and key in metrics.json
ZERO_SHOT = {'S': 'mIoU_seen', 'U': 'mIoU_unseen', 'hIoU': 'hIoU'}
#: likewise, of networks of super-resolution
MULTIPLY_ADDS = 'G multiply-adds at 1280x720'
#: what the words of ``verdict`` mean, on every page that has them
VERDICTS = (
    'A verdict follows from the interval of the gain alone: "better than alone" or "worse than alone" where it leaves out '
    'zero, "not told apart from zero" where it does not, which is not "equal". Nothing is corrected for many comparisons: '
    'of twenty gains without any effect one is expected to be called better or worse.'
)
#: an option of a run's command that begins its student with what a stage of the suite has trained (vkd.cells)
STAGE = re.compile(r'\bmodel\.student\.[^=\s]*=\S*/stage_')


def table(runs, profile=None, metric='mIoU'):
    """One row a (data, protocol, student, teacher, method), student alone first, best gain next; a list of dicts.

    Runs whose configs differ in more than the seed and the place of the teacher stand in rows of their own, told apart by ``variant``.
    ``gain`` is None and ``withheld`` says why, unless the same student was run alone on the same data, protocol, iterations and batch, both
    with two seeds or more.
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
        row = dict(
            zip(KEY, key),
            role=role,
            external=external,
            variant=experiment[:6] if experiment and names[(*key, role, external)] > 1 else None,
            seeds=[r['seed'] for r in done],
            values=values,
            runs=[_run_facts(r) for r in members],
            mean=None,
            interval=None,
            gain=None,
            gain_interval=None,
            withheld=None,
            extra={},
            synthetic_text=any(r.get('synthetic_text') for r in members),
            images=done[0]['test'].get('images') if done else None,
            failed=[r['run'] for r in members if r['state'] == 'failed'],
            unfinished=[r['run'] for r in members if r['state'] not in ('done', 'failed')],
        )
        if values:
            row['mean'], row['interval'] = mean_interval(values)
            row.update(
                {
                    key: float(np.mean(found))
                    for key, found in _gathered([{k: r['test'].get(k) for k in ('mAcc', 'aAcc')} for r in done]).items()
                }
            )
            row['extra'] = _extra(done)
        if role == 'student' and method != 'alone':
            alone = [
                r
                for r in runs
                if (r['data'], r['protocol'], r['student'], r['method'], r['role'], r['state'])
                == (data, protocol, student, 'alone', 'student', 'done')
                and r.get('external') == external
                and isinstance(r['test'].get(metric), (int, float))
            ]
            alike = [r for r in alone if done and budget(r) == budget(done[0])]
            base = [r['test'][metric] for r in alike]
            row['baseline'] = len(base)
            if not values:
                row['withheld'] = 'no finished run'
            elif not alone:
                row['withheld'] = 'student alone was not run here'
            elif not alike:
                row['withheld'] = 'student alone was run for {} iterations of batch {}, not {} of {}'.format(
                    *budget(alone[0]), *budget(done[0])
                )
            elif len({r.get('experiment') for r in alike}) > 1:
                row['withheld'] = 'student alone was run with configs that differ'
            elif min(len(values), len(base)) < 2:
                row['withheld'] = 'needs a second seed' if len(values) < 2 else 'baseline needs a second seed'
            else:
                row['gain'], row['gain_interval'] = gain_interval(values, base)
        row.update({k: (models.get(student) or {}).get(k) for k in ('params', 'flops', 'latency_ms', 'shape')})
        if (models.get(student) or {}).get('multiply_adds_720p'):
            row['extra'][MULTIPLY_ADDS] = models[student]['multiply_adds_720p'] / 1e9
        step = steps.get('|'.join((student, teacher or '-', method)))
        row['staged'] = any(STAGE.search(str(r.get('command'))) for r in members)
        # of a run in stages the last one alone was timed, and those before it come on top
        row['step'] = step.get('ratio') if step and not row['staged'] else None
        row['classes'], row['per_class'] = _per_class(done)
        rows.append(row)
    order = {'teacher': 0, 'alone': 1}
    return sorted(
        rows,
        key=lambda r: (
            r['data'],
            r['protocol'],
            r['role'] != 'teacher',
            r['student'],
            order.get(r['method'], 2),
            -(r['gain'] if r['gain'] is not None else -1e9),
            r['method'],
        ),
    )


def budget(run):
    """``(iterations, images in a batch)`` of a run, over all its processes; None for what is not known."""
    batch = run.get('batch_size')
    return run.get('max_iters'), batch and batch * (run.get('processes') or 1)


def extra_scores(run):
    """``{column: score}`` that only some runs have: of seen and unseen classes, of each domain, and under corruptions and attacks, where
    ``corruptions.json`` and ``attacks.json`` lie beside the run's other files.
    """
    test, corrupted = run['test'], run.get('corruptions') or {}
    out = {
        **{key: test.get(key) for key in ZERO_SHOT.values()},
        **{f'mIoU.{name}': scores.get('mIoU') for name, scores in (test.get('domains') or {}).items()},
    }
    for i, (name, own) in enumerate((test.get('sets') or {}).items()):  # of restoration; PSNR of the first is the main metric
        out.update({f'{name} {key}': own.get(key) for key in ('PSNR', 'SSIM', 'RMSE')[i == 0 :] if key in own})
    if corrupted.get('summary'):
        cells = [key.rsplit('-', 1) for key in corrupted['cells'] if key != 'clean']
        names, severities = sorted({name for name, _ in cells}), sorted({severity for _, severity in cells})
        # other corruptions are another column
        under = f'{", ".join(names) if len(names) < 4 else f"{len(names)} corruptions"}, severity {", ".join(severities)}'
        out.update({f'mIoU under {under}': corrupted['summary']['corrupted'], f'% kept under {under}': corrupted['summary']['relative']})
    for cell, own in ((run.get('attacks') or {}).get('cells') or {}).items():
        if cell != 'clean':
            name, eps = cell.rsplit('-', 1)
            out[f'mIoU under {name.upper().replace("PGD", "PGD-")}, {eps}/255'] = own.get('mIoU')
    return out


def _extra(done):
    """``{column: mean}`` of ``extra_scores``; what only some of the seeds have is another mean, so its column names them."""
    scores, out = [(r['seed'], extra_scores(r)) for r in done], {}
    for key, found in _gathered([own for _, own in scores]).items():
        seeds = [str(seed) for seed, own in scores if own.get(key) is not None]
        some = '' if len(seeds) == len(done) else f' (seed{"s" * (len(seeds) > 1)} {", ".join(seeds)})'
        out[key + some] = float(np.mean(found))
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
    kept = (
        'run',
        'seed',
        'state',
        'command',
        'config',
        'fingerprint',
        'experiment',
        'seconds',
        'git',
        'versions',
        'hardware',
        'lines',
        'max_iters',
        'batch_size',
        'processes',
        'teacher_checkpoint',
        'teacher_sha256',
        'data_sha256',
        'synthetic_text',
        'corruptions',
        'attacks',
        'test',
        'val',
    )
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
    return (
        row['method']
        + (f' [{row["variant"]}]' if row['variant'] else '')
        + (' (synthetic text)' if row['synthetic_text'] else '')
        + (f' (external: {row["external"]})' if row.get('external') else '')
    )


def extra_columns(rows, metric='mIoU'):
    """``{head: key}`` of the scores that any of ``rows`` has beside the main metric, which has its own column."""
    keys, heads = dict.fromkeys(key for r in rows for key in r['extra'] if key != metric), {key: head for head, key in ZERO_SHOT.items()}
    return {heads.get(key, key.removeprefix('mIoU.')): key for key in keys}


def unit(key):
    """Of a score."""
    kind = key.partition(' (seed')[0].rpartition(' ')[2]
    return '%' if key.startswith(('mIoU', 'hIoU')) else {'PSNR': 'dB', 'RMSE': 'HU'}.get(kind, '')


def with_unit(head, key):
    return f'{head}, {unit(key)}' if unit(key) else head


def score_head(rows, metric):
    """Head of the main metric's column: with its unit, and with the test set that it is of where there are several."""
    first = next((name for r in rows for f in r['runs'] for name in f['test'].get('sets') or {}), None)
    return with_unit(f'{metric} on {first}' if first and metric == 'PSNR' else metric, metric)


def gain_head(metric):
    return 'gain over alone' + {'%': ', points', '': ''}.get(unit(metric), f', {unit(metric)}')


def tally(rows):
    """Sentence on how many gains of ``rows`` are what; empty where there is none."""
    gains = Counter(verdict(r) for r in rows if r['gain'] is not None)
    total = sum(gains.values())
    if not total:
        return ''
    better, worse = gains['better than alone'], gains['worse than alone']
    return (
        f'Of {total} gain{"s" * (total != 1)}, {better} {"is" if better == 1 else "are"} better and {worse} worse '
        f'than alone, {total - better - worse} not told apart from zero; '
        f'without any effect about {total / 20:.2g} would be called better or worse by chance.'
    )


def legend(rows, networks=True):
    """Sentences below a table, on the columns that it has; ``networks``: whether these are also of a network's costs."""
    out = []
    if any(key in r['extra'] for r in rows for key in ZERO_SHOT.values()):
        out.append(
            'S and U: mean IoU of the seen and of the unseen classes; hIoU: their harmonic mean; each the mean over '
            'seeds, – where no unseen class occurs in the test set.'
        )
    if any(r['step'] or r.get('staged') for r in rows):
        staged = any(r.get('staged') for r in rows)
        out.append(
            'Step ÷ alone: time of a training step to that of the student alone, taken in turns'
            + '; – for a run in stages, of which only the last was timed' * staged
            + '.'
        )
    shapes = sorted({'x'.join(map(str, r['shape'])) for r in rows if r.get('shape')})
    if shapes and networks:
        out.append(f'FLOPs (a multiply-add is two) and latency: of one image of {" or ".join(shapes)}.')
    return out


def by_protocol(rows):
    """``[dict(data, protocol, caption, legend, rows)]``: one a protocol, because numbers of two protocols stand in no common column."""
    groups = {}
    for row in rows:
        groups.setdefault((row['data'], row['protocol']), []).append(row)
    return [
        dict(data=data, protocol=protocol, caption=_caption(own), legend=legend(own), rows=own) for (data, protocol), own in groups.items()
    ]


def _caption(rows):
    runs = [f for r in rows for f in r['runs'] if f['state'] == 'done']
    if not runs:
        return 'No finished run yet.'
    machines = sorted(
        {
            f'{(f["hardware"] or {}).get("gpu") or (f["hardware"] or {}).get("cpu")}, {(f["hardware"] or {}).get("threads")} '
            f'thread{"s" * ((f["hardware"] or {}).get("threads") != 1)} per run'
            for f in runs
        }
    )
    iters = sorted({f['max_iters'] for r in rows if r['role'] == 'student' for f in r['runs'] if f['max_iters']})
    batches = sorted({budget(f)[1] for f in runs if f['batch_size']})
    teachers = sorted({f['max_iters'] for r in rows if r['role'] == 'teacher' for f in r['runs'] if f['max_iters']})
    images = sorted({f['test'].get('images') for f in runs if f['test'].get('images')})
    learnt = f'{" and ".join(map(str, iters))} iterations of batch {" and ".join(map(str, batches))}' if iters else 'budget unknown'
    if teachers and teachers != iters:
        learnt += f' (teachers: {" and ".join(map(str, teachers))})'
    return f'{learnt}; {" and ".join(map(str, images))} test images; trained on {"; ".join(machines)}.'


def frame(rows, metric='mIoU'):
    """The table as a pandas DataFrame of plain values."""
    extra = extra_columns(rows, metric)
    return pd.DataFrame(
        [
            {
                'data': r['data'],
                'protocol': r['protocol'],
                'role': r['role'],
                'student': r['student'],
                'teacher': r['teacher'],
                'method': named(r),
                'seeds': len(r['seeds']),
                metric: r['mean'],
                f'{metric}_interval95': r['interval'],
                'gain': r['gain'],
                'gain_interval95': r['gain_interval'],
                'gain_note': verdict(r),
                'mAcc': r.get('mAcc'),
                'aAcc': r.get('aAcc'),
                **{key: r['extra'].get(key) for key in extra.values()},
                'params': r['params'],
                'flops': r['flops'],
                'latency_ms': r['latency_ms'],
                'step_ratio': r['step'],
                'failed': len(r['failed']),
                'unfinished': len(r['unfinished']),
            }
            for r in rows
        ]
    )


def markdown_table(rows, metric='mIoU', networks=True):
    """Lines of ``rows``' table; without the columns of what a network costs where not ``networks``."""
    extra = extra_columns(rows, metric)
    heads = [
        'student',
        'teacher or peer',
        'method',
        'seeds',
        f'{score_head(rows, metric)} (95 %)',
        f'{gain_head(metric)} (95 %)',
        'verdict',
        *['parameters', 'FLOPs', 'latency'] * networks,
        'step ÷ alone',
        *(with_unit(head, key) for head, key in extra.items()),
    ]
    lines = ['| ' + ' | '.join(map(cell, heads)) + ' |', '|---' * len(heads) + '|']
    for r in rows:
        status = ''.join(f'; {len(r[key])} {key}' for key in ('failed', 'unfinished') if r.get(key))
        gain = '–' if r['gain'] is None else with_interval(r['gain'], r['gain_interval'], True)
        costs = []
        if networks:
            latency = '–' if r['latency_ms'] is None else f'{number(r["latency_ms"], 1)} ms'
            costs = [human(r['params']), human(r['flops']), latency]
        lines.append(
            '| '
            + ' | '.join(
                map(
                    cell,
                    [
                        r['student'],
                        r['teacher'] or '–',
                        named(r),
                        f'{len(r["seeds"])}{status}',
                        with_interval(r['mean'], r['interval']),
                        gain,
                        verdict(r) or '–',
                        *costs,
                        number(r['step']),
                        *(number(r['extra'].get(key), digits(key)) for key in extra.values()),
                    ],
                )
            )
            + ' |'
        )
    return lines


def markdown(title, sections, notes, metric='mIoU'):
    """The tables of ``sections`` as a markdown page."""
    lines = [
        f'# {cell(title)}',
        '',
        'The same with curves and pictures: [leaderboard.html](leaderboard.html); for programs: '
        '[csv](leaderboard.csv), [json](leaderboard.json).',
        '',
        VERDICTS,
        '',
    ]
    for section in sections:
        lines += [
            f'## {cell(section["data"])}, protocol {cell(section["protocol"])}',
            '',
            section['caption'],
            '',
            *markdown_table(section['rows'], metric),
            '',
            *[' '.join(section['legend']), ''] * bool(section['legend']),
        ]
        classes = next((r['classes'] for r in section['rows'] if r['classes']), [])
        if classes:
            lines += [
                'IoU per class, %, mean over seeds:',
                '',
                '| student | method | ' + ' | '.join(cell(c) for c in classes) + ' |',
                '|---' * (2 + len(classes)) + '|',
            ]
            lines += [
                '| ' + ' | '.join([cell(r['student']), cell(named(r)), *(number(v, 1) for v in r['per_class'])]) + ' |'
                for r in section['rows']
                if r['per_class']
            ] + ['']
        lines += [
            'Each run, and the command that makes it again:',
            '',
            f'| run | {cell(score_head(section["rows"], metric))} | command |',
            '|---|---|---|',
        ]
        lines += [
            f'| {cell(f["run"])} | {number(f["test"].get(metric)) if f["state"] == "done" else cell(f["state"])} | {code(f["command"])} |'
            for r in section['rows']
            for f in r['runs']
        ] + ['']
    lines += [f'- {cell(n)}' for n in notes] + [''] * bool(notes)
    return '\n'.join(lines)


def cell(text):
    """Text of a markdown cell: what a label holds must not end the cell, nor be html, a link or a picture."""
    return re.sub(r'([\\|\[\]])', r'\\\1', _no_html(text))


def code(text):
    """Code in a markdown cell, ended by nothing that it holds, and no html even where a reader of markdown looks for html first."""
    return f'`{_no_html(text)}`'.replace('|', '\\|')


def _no_html(text):
    return str(text).replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;').replace('\n', ' ').replace('`', "'")


def digits(key):
    """How many digits after the point a score is shown with; of unseen classes a few thousandths may be all there is."""
    return 4 if key.endswith('SSIM') else 3 if key in ('mIoU_unseen', 'hIoU') else 2


def number(value, digits=2, sign=False):
    if not isinstance(value, (int, float)):
        return '–'
    text = f'{value:{"+" if sign else ""}.{digits}f}'
    return (text if float(text) else text.lstrip('+-')).replace('-', '−')  # a rounded zero has no sign


def human(value):
    """``12345678`` -> ``12.3 M``."""
    if value is None:
        return '–'
    for size, unit in ((1e9, 'G'), (1e6, 'M'), (1e3, 'k')):
        if value >= size:
            return f'{value / size:.3g} {unit}'
    return f'{value:.3g}'


def with_interval(mean, half, sign=False):
    return number(mean, sign=sign) + (f'\u00a0±\u00a0{number(half)}' if half is not None else '')


def with_pages(content, paths):
    """leaderboard.json's ``content``, sealed, with the digests of the other files of its page."""
    return sealed(finite(dict(content, files={kind: sha256(path) for kind, path in paths.items() if kind != 'json'})))


def finite(value):
    """json without NaN or paths."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
