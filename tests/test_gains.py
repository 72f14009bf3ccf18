"""Gains at equal cost, tuned rows, controls, and what is said of a board, from runs as they lie in their folders."""

import copy

import pytest
from helpers.run_folders import signed, write

from vkd.build.budgets import stretched
from vkd.build.identity import baseline_fingerprint
from vkd.evaluation.scores import MIOU, PSNR, RMSE
from vkd.io.files import read_json, write_json
from vkd.leaderboard import build
from vkd.leaderboard.board import build_board
from vkd.leaderboard.external import submit
from vkd.leaderboard.gains import compare
from vkd.leaderboard.reading import read_runs
from vkd.leaderboard.records import Gain, Panel, Row, RunFacts
from vkd.leaderboard.verify import verify
from vkd.leaderboard.words import controls, panel_words, remarks

CONFIG = dict(
    model=dict(student=dict(network=dict(type='Small', width=8))),
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=100, val_interval=50),
    optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
    param_scheduler=[dict(type='PolyLR', power=0.9, end=100, by_epoch=False)],
)
#: mIoU alone by budget, at a cost that the method has in between
ALONE = {1.0: 40.0, 1.5: 42.0, 2.0: 43.0}


def run_of(folder, method='alone', score=40.0, seed=0, config=CONFIG, **more):
    own = write(
        folder / f'x{more.get("budget", 1):g}', method, score=score, seed=seed, teacher=None if method == 'alone' else 'big', **more
    )
    print_ = baseline_fingerprint(config)
    write_json(own / 'run.json', dict(read_json(own / 'run.json'), baseline=print_, experiment=print_))
    write_json(own / 'baselines.json', {print_: config})
    return signed(own)


def jitter(seed, k):
    """An error of a run, other for each row and seed."""
    return 0.1 * ((3 * seed + 5 * k + seed * k) % 7 - 3)


def board(folder, methods=(('KL', 45.0), ('CWD', 41.0)), budgets=ALONE, ratio=1.75, configs=None, **more):
    for seed in range(4):
        for k, (budget, score) in enumerate(budgets.items()):
            config = (configs or {}).get(budget) or stretched(CONFIG, budget)
            run_of(folder, score=score + jitter(seed, k), seed=seed, config=config, **({'budget': budget} if budget != 1 else {}))
        for k, (method, score) in enumerate(methods):
            run_of(folder, method, score + jitter(seed, k + 5), seed, **more)
    steps = {f'small|big|{m}': dict(ratio=ratio, low=ratio - 0.02, high=ratio + 0.02) for m, _ in methods}
    write_json(folder / 'profile.json', dict(models={}, steps={'small|-|alone': dict(ratio=1.0, low=1.0, high=1.0), **steps}))
    return folder


def rows_of(folder, **more):
    return {(r['method'], r['budget']): r for r in read_json(build(folder, **more)['json'])['rows']}


def mean_of(rows, *key):
    return rows[key]['mean']


def test_a_gain_at_equal_cost_is_over_the_student_alone_trained_as_long(tmp_path):
    rows = rows_of(board(tmp_path))
    kl, cwd = rows['KL', 1.0], rows['CWD', 1.0]
    assert kl['gain']['value'] == pytest.approx(mean_of(rows, 'KL', 1.0) - mean_of(rows, 'alone', 1.0)) and kl['gain']['kind'] == 'dunnett'
    between = (mean_of(rows, 'alone', 1.5) + mean_of(rows, 'alone', 2.0)) / 2  # 1.75 lies half way
    assert kl['equal_cost']['value'] == pytest.approx(mean_of(rows, 'KL', 1.0) - between) and kl['equal_cost']['baseline'] == 12
    assert cwd['gain']['verdict'] == 'better than alone' and cwd['equal_cost']['verdict'] == 'worse than alone', 'a gain that cost more'
    text, page, csv = ((tmp_path / f'leaderboard.{kind}').read_text() for kind in ('md', 'html', 'csv'))
    assert '| at equal cost (95 %) | verdict at equal cost |' in text and 'alone, 1.5 x the iterations' in text
    assert 'gain at equal cost' in page and 'equal_cost_gain' in csv and verify(tmp_path) == []


@pytest.mark.parametrize(
    'change, reason',
    [(dict(ratio=2.5), 'the student alone was run up to 2 times as long, and this costs 2.5'), (dict(budgets={1.0: 40.0}), None)],
)
def test_beyond_what_was_run_nothing_is_said_at_equal_cost(tmp_path, change, reason):
    found = rows_of(board(tmp_path, **change))['KL', 1.0]['equal_cost']
    assert found is None if reason is None else (found.get('value') is None and found['withheld'] == reason)


def test_a_longer_run_of_another_config_is_no_budget(tmp_path):
    other = stretched(copy.deepcopy(CONFIG), 2.0)
    other['optim_wrapper']['optimizer']['lr'] = 0.2
    found = rows_of(board(tmp_path, configs={2.0: other}))['KL', 1.0]['equal_cost']
    assert found['withheld'] == 'the student alone was run up to 1.5 times as long, and this costs 1.75'


def tuning(trials, **space):
    return dict(space=space, trials=trials, seed=100, metric='mIoU', chosen={}, scores=[])


def test_what_both_sides_tuned_may_differ_and_fewer_trials_are_marked(tmp_path):
    lr, weight = 'optim_wrapper.optimizer.lr', 'model.methods.0.loss_weight'
    faster = copy.deepcopy(CONFIG)
    faster['optim_wrapper']['optimizer']['lr'] = 0.4
    for seed in range(3):
        run_of(tmp_path, score=40.0 + jitter(seed, 0), seed=seed, tuning=tuning(2, **{lr: [0.1, 0.4]}))
        run_of(tmp_path, 'KL', 42.0 + jitter(seed, 5), seed, faster, tuning=tuning(4, **{lr: [0.1, 0.4], weight: [1, 3]}))
        run_of(tmp_path, 'CWD', 42.0 + jitter(seed, 6), seed, faster, tuning=tuning(2, **{lr: [0.1, 0.4, 0.9]}))
        run_of(tmp_path, 'AT', 42.0 + jitter(seed, 7), seed, faster)
    rows = rows_of(tmp_path)
    assert rows['KL', 1.0]['gain']['value'] and rows['KL', 1.0]['fewer_trials'] == 2
    assert rows['KL', 1.0]['gain']['allowed'] == ['optim_wrapper.optimizer.lr: 0.4 here, 0.1 alone']
    for method in ('CWD', 'AT'):
        assert 'optim_wrapper.optimizer.lr: 0.4 here, 0.1 alone' in rows[method, 1.0]['gain']['withheld'], 'other values, or not tuned'
    text = (tmp_path / 'leaderboard.md').read_text()
    assert (
        '4 trials, the student alone had 2' in text
        and '| – | 2 trials |' in text
        and "the method's own: optim_wrapper.optimizer.lr" in text
    )


def test_controls_stand_on_top(tmp_path):
    for seed in range(3):
        run_of(tmp_path, score=40.0 + jitter(seed, 0), seed=seed)
        run_of(tmp_path, 'KL', 45.0 + jitter(seed, 5), seed, control='must help')
        run_of(tmp_path, 'CWD', 45.0 + jitter(seed, 6), seed, control='cannot help')
        run_of(tmp_path, 'AT', 40.1 + jitter(seed, 7), seed, control='cannot help')
    paths = build(tmp_path, tmp_path / 'board/mine')
    text, page = (open(paths[k], encoding='utf-8').read() for k in ('md', 'html'))
    failed = 'CONTROLS FAILED: CWD (cannot help) of small did not come out as it must, so the other numbers are in doubt.'
    held = 'Controls that came out as they must: AT (cannot help) of small, KL (must help) of small.'
    assert text.index(failed) < text.index(held) < text.index('| student |') and failed in page and f'<p class="bad"><b>{failed}' in page
    assert failed in build_board(tmp_path / 'board').read_text() and verify(tmp_path / 'board/mine', tmp_path) == []
    assert controls([Panel('d', 'p', 's', controls=[('KL', 'must help', None)])]) == ['Controls without a verdict: KL (must help) of s.']


def test_trials_are_no_rows(tmp_path):
    board(tmp_path)
    run_of(tmp_path / 'trials', score=99.0, seed=100, role='trial')
    runs, notes = read_runs(tmp_path)
    assert len(runs) == 20 and not notes and {run.seed for run in runs} == set(range(4))


def test_what_is_said_of_a_board(tmp_path):
    board(tmp_path, methods=(('KL', 45.0), ('CWD', 41.0), ('AT', 41.05)))
    text = (tmp_path / 'leaderboard.md').read_text() if build(tmp_path) else ''
    assert 'KL is better than AT; KL is better than CWD' in text and 'CWD is better than AT' not in text and 'AT is better' not in text
    assert 'correlation of equal seeds between methods' in text.lower() and '(9 degrees of freedom)' in text
    panel = Panel('d', 'p', 's', residual_sd=0.5, freedom=6, apart=[('A', 'B')])
    assert panel_words(panel, PSNR, True)[0] == 's: scores of one seed scatter by 0.50 dB around method plus seed (6 degrees of freedom).'


def test_a_student_alone_that_scatters_more_than_the_board_is_told(tmp_path):
    for seed in range(3):
        run_of(tmp_path, score=40.0 + 5 * seed, seed=seed)
        for k, method in enumerate(('KL', 'CWD')):
            run_of(tmp_path, method, 41.0 + jitter(seed, k), seed)
    build(tmp_path)
    assert 'the student alone scatters 19.4 times as much as its methods' in (tmp_path / 'leaderboard.md').read_text().lower()


def test_which_is_better_turns_with_the_score():
    def row(method, values):
        runs = [RunFacts(f'{method}{i}', i, 'done', dict(RMSE=v)) for i, v in enumerate(values)]
        return Row('d', 'p', 's', None, method, seeds=[0, 1, 2], values=list(values), runs=runs)

    rows = [row('alone', (9.0, 9.1, 9.2)), row('A', (1.0, 1.1, 1.3)), row('B', (5.0, 5.2, 5.2))]
    (panel,) = compare(rows, RMSE, {}, {})
    assert panel.apart == [('A', 'B')] and rows[1].gain.verdict == 'better than alone'
    (panel,) = compare(rows, MIOU, {}, {})
    assert panel.apart == [('B', 'A')] and rows[1].gain.verdict == 'worse than alone'


def test_an_external_gain_is_enforced_too(tmp_path):
    theirs = tmp_path / 'theirs'
    other = copy.deepcopy(CONFIG)
    other['optim_wrapper']['optimizer']['lr'] = 9.0
    for seed in range(3):
        run_of(theirs, score=40.0 + seed, seed=seed)
        run_of(theirs, 'KL', 45.0 + seed, seed, other)
        run_of(theirs, 'CWD', 45.0 + seed, seed)
        run_of(tmp_path / 'ours', score=40.0 + seed, seed=seed)
    build(theirs)
    submit(theirs / 'leaderboard.json', tmp_path / 'ours', 'lab', {('scenes', 'quick')})
    rows = {(r['method'], r['external']): r for r in read_json(build(tmp_path / 'ours')['json'])['rows']}
    assert rows['CWD', 'lab']['gain']['value'] == pytest.approx(5) and 'lr: 9.0 here, 0.1 alone' in rows['KL', 'lab']['gain']['withheld']
    assert verify(tmp_path / 'ours', tmp_path / 'ours') == []


def test_records_read_what_they_write():
    row = Row('d', 'p', 's', 'big', 'KL', gain=Gain(1.0, 2.0, allowed=['x']), runs=[RunFacts('r', 3, 'done', dict(mIoU=1.0), budget=2.0)])
    again = Row.from_json(row.as_json())
    assert again.gain == row.gain and again.as_json() == row.as_json() and again.runs[0].budget == 2.0 and again.runs[0].student == 's'
    flat = dict(row.as_json(), gain=3.0, gain_interval=1.0, withheld=None)  # format 1
    assert Row.from_json(flat).gain is None and not remarks(Row.from_json(flat))
