"""A dry run's report, for the eye."""

import sys

from ..io.console import console, duration, show_table


def show(report, file=None):
    """Prints a report of ``check``; its errors go to stderr, one line each."""
    out = console(file)
    if report['data']:
        _data(out, report)
    if 'student' in report:
        _networks(out, report)
    if report.get('taps'):
        _taps(out, report)
    if 'losses' in report:
        rows = [[r['term'], r['value'], r['gradient']] for r in report['losses']]
        show_table(out, 'First step', ['loss term', 'value', 'norm of its gradient on the student'], rows)
    if 'step' in report:
        _step(out, report)
    if 'run' in report:
        _run(out, report)
    for warning in report['warnings']:
        out.print(f'warning: {warning}', markup=False, soft_wrap=True)
    for error in report['errors']:
        print(f'error: {error}', file=sys.stderr)
    if not report['errors']:
        out.print('No errors.')


def _shape(x):
    return 'x'.join(map(str, x)) if x else None


def _share(found):
    return f'{found["matched"]} of {found["total"]} tensors ({found["share"]:.0%})' if found else None


def _data(out, report):
    show_table(
        out,
        'Data',
        ['loader', 'dataset', 'root', 'images', 'batch', 'first input', 'classes', 'reading a batch'],
        [
            [k.split('_')[0], d['dataset'], d['root'], d['images'], d['batch'], _shape(d['shape']), d['classes'], duration(d['seconds'])]
            for k, d in report['data'].items()
        ],
    )


def _networks(out, report):
    nets = [dict(name='student', learns='gradient', **report['student'])] + report['teachers']
    show_table(
        out,
        'Networks',
        ['role', 'type', 'learns', 'parameters', 'checkpoint', 'matched'],
        [[n['name'], n['type'], n['learns'], n['total'], (n['loaded'] or {}).get('checkpoint'), _share(n['loaded'])] for n in nets],
    )
    show_table(
        out,
        'Parameters that learn',
        ['part', 'trainable', 'of'],
        [[k, v['trainable'], v['total']] for k, v in report['parameters'].items()],
    )


def _taps(out, report):
    show_table(
        out,
        'Taps',
        ['method', 'student', 'shape', 'teacher', 'tap', 'shape'],
        [
            [r['method'], r['student'], _shape(r['student_shape']), r['of'], r['teacher'], _shape(r['teacher_shape'])]
            for r in report['taps']
        ],
    )


def _step(out, report):
    step = report['step']
    split = ', '.join(f'{k} {duration(v)}' for k, v in step.get('parts', {}).items())
    out.print(
        f'A step takes {duration(step["seconds"])}{f" ({split})" if split else ""} and {step["memory_mib"]:,} MiB '
        f'({step["memory_of"]}) on {report["device"]}.',
        markup=False,
    )


def _run(out, report):
    run = report['run']
    out.print(
        f'The run: {run["iterations"]:,} iterations in {duration(run["train_seconds"])} and {run["validations"]} validations in '
        f'{duration(run["val_seconds"])}, '
        f'about {duration(run["seconds"])} in all.',
        markup=False,
    )
