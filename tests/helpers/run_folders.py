"""Run folders as a run leaves them, without a run."""

import json

from vkd.io.files import read_json, write_json
from vkd.runs.formats import run_digest

EVIL = '<script>alert(1)</script>"\'><img src=x onerror=alert(2)>'


def write(
    folder,
    method='alone',
    student='small',
    score=40.0,
    seed=0,
    state='done',
    role='student',
    teacher=None,
    protocol='quick',
    data='scenes',
    **more,
):
    """A run folder below ``folder``, with made-up scores; ``more`` replaces facts of its run.json. Returns its path."""
    name = f'{role}_{method}_{student}_{protocol}_{data}_{seed}'.replace('/', '').replace('<', '')
    own = folder / name
    write_json(
        own / 'run.json',
        dict(
            format=1,
            vkd='0.1.0',
            suite='s',
            run=name,
            role=role,
            method=method,
            student=student,
            teacher=teacher,
            data=data,
            protocol=protocol,
            seed=seed,
            config='configs/x.py',
            fingerprint='0' * 12,
            max_iters=10,
            batch_size=2,
            command=f'python tools/train.py configs/x.py --cfg-options randomness.seed={seed}',
            git=dict(commit='abc', dirty=False),
            versions=dict(torch='2'),
            hardware=dict(cpu='CPU', threads=1, gpu=None),
        )
        | more,
    )
    write_json(
        own / 'state.json', dict(format=1, state=state, seconds=3.0, lines=[] if state == 'done' else [more.get('line', 'it broke')])
    )
    if state == 'done':
        write_json(
            own / 'metrics.json',
            dict(
                format=1,
                test=dict(images=5, classes=['a', 'b'], mIoU=score, mAcc=score + 7, aAcc=score + 20, IoU=[score, None], Acc=[score, None]),
            ),
        )
    (own / 'config.py').write_text(more.get('text', 'a = 1\n'))
    if state == 'done':
        signed(own)
    log = own / '20260101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(
        ''.join(json.dumps(dict(loss=1 / i, step=i)) + '\n' for i in range(1, 6))
        + json.dumps(dict(mIoU=score, step=5))
        + '\n{"loss": 0.1, "st'
    )
    return own


def signed(folder):
    """The run folder as ``vkd.runs.run`` leaves it, with a digest."""
    metrics = read_json(folder / 'metrics.json')
    write_json(folder / 'metrics.json', dict(metrics, digest=run_digest(read_json(folder / 'run.json'), metrics)))
    return folder
