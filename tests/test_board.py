"""The one page of all tables: which tab, what is drawn, and that nothing of a label becomes HTML."""

import shutil

import pytest
from helpers import ROOT
from helpers.run_folders import EVIL, write

from vkd import UserError
from vkd.io.files import read_json, write_json
from vkd.leaderboard import build
from vkd.leaderboard.board import build_board, field
from vkd.leaderboard.scatter import apart, decades, pareto, round_ticks, scatter_layout


def test_the_front_by_hand():
    assert pareto([(1, 5), (2, 4), (2, 7), (3, 7), (0.5, 1), (4, 9), (1, 3)]) == [4, 0, 2, 5]
    assert pareto([(1, 5), (1, 5)]) == [0]


def test_round_ticks():
    assert (
        round_ticks(24.3, 31.2) == [26, 28, 30]
        and round_ticks(0, 10) == [0, 2, 4, 6, 8, 10]
        and round_ticks(-0.012, 0.013) == [-0.01, -0.005, 0, 0.005, 0.01]
    )
    assert (
        decades(3, 45) == [5, 10, 20]
        and decades(0.9, 1.1) == [1]
        and decades(0.5, 5e5) == [1, 10, 100, 1e3, 1e4, 1e5]
        and decades(6, 9) == []
    )


def test_labels_are_kept_apart():
    assert apart([10, 11, 40], 12, 0, 100) == [10, 22, 40]
    assert apart([90, 95, 99], 12, 0, 100) == [76, 88, 100]


def points(*xy):
    return [dict(x=x, y=y, half=half, label=f'p{i}', kind='distilled') for i, (x, y, half) in enumerate(xy)]


def test_a_drawing():
    p = scatter_layout(points((1, 40, 1), (2, 42, None), (3, 41, 90)), 't', 'a', 'b')
    places = {o['label']: o for o in p['points']}
    assert (
        p['on_front'] == ['p0', 'p1']
        and places['p1']['cy'] < places['p2']['cy'] < places['p0']['cy']
        and places['p0']['cx'] < places['p1']['cx'] < places['p2']['cx']
    )
    assert (
        places['p2']['cut']
        and not places['p0']['cut']
        and not p['logarithmic']
        and all(0 <= o[k] <= p['height'] for o in p['points'] for k in ('top', 'bottom', 'text'))
    )
    assert (
        scatter_layout(points((1, 40, 1), (6, 40, 1)), 't', 'a', 'b')['logarithmic']
        and scatter_layout(points((1, 40, 1)), 't', 'a', 'b') is None
    )
    same = scatter_layout(points((1, 40, None), (1, 40, None)), 't', 'a', 'b')
    assert all(0 <= o['cx'] <= same['width'] and 0 <= o['cy'] <= same['height'] for o in same['points'])


@pytest.mark.parametrize(
    'metric, test, name',
    [
        ('mIoU', {}, 'Segmentation'),
        ('mIoU', dict(mIoU_unseen=None), 'Zero-shot'),
        ('mIoU', dict(domains=dict(dusk=dict(mIoU=1))), 'Domains and robustness'),
        ('PSNR', dict(sets=dict(Set5=dict(PSNR=30, SSIM=0.9))), 'Super-resolution'),
        ('PSNR', dict(sets=dict(head=dict(PSNR=30, RMSE=9))), 'Sparse-view CT'),
    ],
)
def test_tabs(metric, test, name):
    assert (
        field(
            dict(
                metric=metric,
                rows=[dict(data='d', protocol='p', student='s', teacher=None, method='alone', role='student', runs=[dict(test=test)])],
            )
        )
        == name
    )


@pytest.fixture
def tables(tmp_path):
    for seed, score in enumerate([40.0, 41.5]):
        write(tmp_path / 'runs', score=score, seed=seed)
        write(tmp_path / 'runs', EVIL, score=score + 3, seed=seed, teacher=EVIL, data='scenes')
    write_json(tmp_path / 'runs/suite.json', dict(title=EVIL, command=EVIL))
    build(tmp_path / 'runs', tmp_path / 'board/mine')
    return tmp_path / 'board'


def test_a_page(tables):
    write_json(tables / 'not_run.json', [dict(field='Zero-shot', suite=EVIL, reason='no weights')])
    page = build_board(tables).read_text()
    assert '<script>alert' not in page and '<img src=x' not in page and 'no weights' in page and page.count('role="tab"') == 2
    assert '+3.00' in page and 'mine/leaderboard.html' in page and 'http' not in page.replace('http-equiv', '')  # nothing is fetched
    assert '+3.0</td>' in page  # of class a
    assert page.count('Of 1 gain, 1 is better') + page.count('Of 1 gain, 0 are better') == 2  # of all, and of its tab


def test_bad_input(tables):
    write_json(tables / 'not_run.json', [dict(field='Speech', suite='x', reason='y')])
    with pytest.raises(UserError, match='Speech'):
        build_board(tables)
    (tables / 'not_run.json').unlink()
    content = read_json(tables / 'mine/leaderboard.json')
    content['rows'][0]['mean'] += 1
    write_json(tables / 'mine/leaderboard.json', content)
    with pytest.raises(UserError, match='changed after'):
        build_board(tables)
    with pytest.raises(UserError, match='no table'):
        build_board(tables / 'mine')


def test_the_committed_page_is_of_the_committed_tables(tmp_path):
    shutil.copytree(ROOT / 'docs/leaderboard', tmp_path / 'leaderboard')
    shutil.copy(ROOT / 'docs/numbers.md', tmp_path)  # to which the page leads
    committed = (ROOT / 'docs/leaderboard/board.html').read_text()
    assert build_board(tmp_path / 'leaderboard').read_text() == committed and len(committed) < 5e6
