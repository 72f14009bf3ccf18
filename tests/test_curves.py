import json

import numpy as np
import pytest

from vkd import UserError
from vkd.runs.curves import curves, draw_curves


def run(folder, lines, **info):
    (folder / 'log/vis_data').mkdir(parents=True)
    (folder / 'log/vis_data/scalars.json').write_text('\n'.join(lines))
    (folder / 'run.json').write_text(json.dumps(info))
    return folder


def line(step, **values):
    return json.dumps(dict(values, step=step))


def test_seeds_share_a_line_and_a_kill_costs_one_value(tmp_path):
    same = dict(method='CTCL-R', student='a', experiment='x')
    first = run(tmp_path / '0', [line(10, d=0.5), line(20, d=0.25), line(20, d=0.75), line(30, d=0.1)[:-3]], **same)
    second = run(tmp_path / '1', [line(10, d=0.3), line(20, d=0.25), line(30, d=0.2), line(40, other=1)], **same)
    other = run(tmp_path / '2', [line(10, d=0.9)], method='CTCL-R', student='b', experiment='y')
    found = curves([first, second, other], ['d'])
    assert list(found) == ['CTCL-R, a', 'CTCL-R, b']
    steps, values = found['CTCL-R, a']['d']
    assert steps.tolist() == [10, 20] and np.array_equal(values, [[0.5, 0.75], [0.3, 0.25]])
    draw_curves(found, tmp_path / 'd.svg', label='share')
    assert all(text in (tmp_path / 'd.svg').read_text() for text in ('<svg', 'CTCL-R, a (2 runs)', 'CTCL-R, b (1 runs)'))


def test_bad_input(tmp_path):
    with pytest.raises(UserError, match='no log'):
        curves([tmp_path], ['d'])
    short = curves([run(tmp_path / 'b', [line(1, d=0.5)])], ['d'])
    with pytest.raises(UserError, match='too few to average 3'):
        draw_curves(short, tmp_path / 'd.svg', smooth=3)
    with pytest.raises(UserError, match='no iteration in common'):
        curves([run(tmp_path / str(i), [line(i, d=0.5)], experiment='x', method='m') for i in (1, 2)], ['d'])
    with pytest.raises(UserError, match='no .densty.*density'):
        curves([run(tmp_path / 'a', [line(1, density=0.5)])], ['densty'])
