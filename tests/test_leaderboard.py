import json
import re

import numpy as np
import pandas as pd
import pytest
from helpers.run_folders import EVIL, signed, write

from vkd import UserError
from vkd.evaluation.scores import MIOU
from vkd.io.files import read_json, write_json
from vkd.leaderboard import build
from vkd.leaderboard.illustrations import curve_layout
from vkd.leaderboard.reading import read_curve, read_runs
from vkd.leaderboard.records import RunFacts
from vkd.leaderboard.rows import table as table_of
from vkd.leaderboard.statistics import dunnett_quantile, mean_interval
from vkd.leaderboard.tables import number
from vkd.leaderboard.words import digits, verdict, with_unit


def test_intervals_by_hand_and_against_scipy():
    assert mean_interval([1, 2, 3]) == pytest.approx((2, 4.302653 / 3**0.5))
    assert mean_interval([5]) == (5, None)


def table(runs, profile=None, score=MIOU, baselines=None):
    return table_of(runs, score, profile, baselines).rows


def test_gains_and_why_they_are_withheld(tmp_path):
    for seed, (alone, kl, cwd) in enumerate([(40, 44, 41), (41, 45, 39), (42, 46, 40)]):
        write(tmp_path, score=alone, seed=seed)
        write(tmp_path, 'KL', score=kl, seed=seed, teacher='big')
        write(tmp_path, 'CWD', score=cwd, seed=seed, teacher='big')
    write(tmp_path, 'AT', teacher='big', score=60)
    write(tmp_path, 'KL', student='other', teacher='big')
    write(tmp_path, 'KL', student='other', teacher='big', seed=1)
    write(tmp_path, 'KL', protocol='long', teacher='big')
    write(tmp_path, 'DIST', state='failed', teacher='big')
    write(tmp_path, 'teacher', role='teacher', student='big', score=55.0)
    runs, notes = read_runs(tmp_path)
    rows = {(r.method, r.student, r.protocol): r for r in table(runs)}

    def told(*key):
        return verdict(rows[key].gain, MIOU)

    kl, cwd = (rows[name, 'small', 'quick'] for name in ('KL', 'CWD'))
    assert kl.mean == 45 and kl.interval == pytest.approx(4.302653 / 3**0.5) and kl.gain.value == 4 and kl.gain.kind == 'dunnett'
    assert told('KL', 'small', 'quick') == 'better than alone'
    # by hand: the residuals are (-2, 1, 1) / 3 twice and (4, -2, -2) / 3, their squares sum to 4, over 2 x 2 degrees of freedom
    assert kl.gain.half == pytest.approx(dunnett_quantile(0.95, 2, 4) * (2 / 3) ** 0.5, rel=1e-6)
    assert cwd.gain.value == -1 and cwd.gain.half == kl.gain.half and told('CWD', 'small', 'quick') == 'not told apart from zero'
    assert rows['AT', 'small', 'quick'].gain.value is None and 'second seed' in told('AT', 'small', 'quick')
    assert 'alone was not run' in told('KL', 'other', 'quick') and 'alone was not run' in told('KL', 'small', 'long')
    assert rows['DIST', 'small', 'quick'].failed and 'no finished run' in told('DIST', 'small', 'quick')
    order = [r.method for r in table(runs) if r.student in ('small', 'big') and r.protocol == 'quick']
    assert order[:3] == ['teacher', 'alone', 'KL'] and notes == [] and rows['teacher', 'big', 'quick'].gain is None


def test_files(tmp_path):
    for seed in (0, 1):
        for method, score in (('alone', 40), ('KL', 44)):
            own = write(tmp_path, method, score=score + seed, seed=seed, teacher=None if method == 'alone' else 'big')
            truth = np.zeros((2, 8, 12), np.uint8)
            np.savez_compressed(
                own / 'pictures.npz',
                image=np.full((2, 8, 12, 3), 90, np.uint8),
                truth=truth,
                pred=truth + (method == 'alone'),
                palette=np.array([[255, 0, 0], [0, 255, 0]], np.uint8),
            )
    write_json(
        tmp_path / 'profile.json',
        dict(
            hardware=dict(cpu='CPU', gpu=None, threads=1),
            models=dict(small=dict(params=12345678, flops=3.2e9, latency_ms=7.0)),
            steps={'small|big|KL': dict(ratio=1.31)},
        ),
    )
    write_json(tmp_path / 'suite.json', dict(title='A suite', command='python tools/suite.py s.py', cells=['never_started']))
    paths = build(tmp_path)
    page, text = open(paths['html'], encoding='utf-8').read(), open(paths['md'], encoding='utf-8').read()
    frame = pd.read_csv(paths['csv'])
    assert (
        list(frame['method']) == ['alone', 'KL']
        and frame['gain'][1] == 4
        and frame['step_ratio'][1] == 1.31
        and frame['seeds'].tolist() == [2, 2]
    )
    content = json.load(open(paths['json']))
    assert (
        content['rows'][1]['gain']['value'] == 4
        and content['rows'][1]['values'] == [44, 45]
        and content['rows'][0]['per_class'] == [40.5, None]
    )
    assert (
        '+4.00' in page
        and '12.3 M' in page
        and '3.2 G' in page
        and 'never_started' in page
        and page.count('<img') == 10
        and 'alt="Test image 2: what small + KL predicts"' in page
        and page.count('<svg') == 1
    )
    assert not re.search(r'(?:src|href|url\()=?["\']?(?:https?:)?//', page) and '<link' not in page  # nothing is fetched at view time
    assert (
        'href="student_KL_small_quick_scenes_0/config.py"' in page
        and text.count('python tools/train.py') == 4
        and '| small | big | KL | 2 | 44.50\u00a0±\u00a0' in text
    )


def test_a_page_elsewhere_holds_the_configs_itself(tmp_path):
    write(tmp_path / 'runs', text='marker = 42')
    page = open(build(tmp_path / 'runs', tmp_path / 'docs')['html'], encoding='utf-8').read()
    assert 'marker = 42' in page and 'config.py"' not in page


def test_nothing_from_a_file_reaches_the_page_unescaped(tmp_path):
    for seed in (0, 1):
        write(tmp_path, seed=seed)
        write(tmp_path, EVIL, seed=seed, teacher=EVIL, text=EVIL, command=EVIL, config=EVIL)
    write(tmp_path, 'AT', state='failed', line=EVIL, data=EVIL)
    write_json(tmp_path / 'suite.json', dict(title=EVIL, command=EVIL))
    paths = build(tmp_path)
    page, text = open(paths['html'], encoding='utf-8').read(), open(paths['md'], encoding='utf-8').read()
    for content in (page, text):
        assert '<script>alert' not in content and '<img src=x' not in content
    assert page.count('<script>') == 1 and '&lt;script&gt;alert(1)' in page


def test_old_and_broken_folders_are_told_and_left_out(tmp_path):
    write(tmp_path)
    old = write(tmp_path, 'KL')
    write_json(old / 'run.json', dict(format=0, vkd='0.0.1', run='old'))
    broken = write(tmp_path, 'CWD')
    (broken / 'run.json').write_text('{"format": 1, ')
    paths = build(tmp_path)
    notes = json.load(open(paths['json']))['notes']
    assert (
        len(notes) == 2 and any("format 0 (vkd '0.0.1')" in n and 'run it again' in n for n in notes) and any('broken' in n for n in notes)
    )
    with pytest.raises(UserError, match='does not exist'):
        build(tmp_path / 'nowhere')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='no run'):
        build(tmp_path / 'empty')


def test_broken_parts_are_notes_or_one_sentence(tmp_path):
    write(tmp_path, 'KL', teacher='big')
    for name, part, text in (
        ('CWD', 'metrics', '[1]'),
        ('AT', 'metrics', '{"format": 0, "test": {"mIoU": "x"}}'),
        ('DIST', 'state', '{"a'),
        ('MGD', 'metrics', '{'),
    ):
        (write(tmp_path, name, teacher='big') / f'{part}.json').write_text(text)
    (tmp_path / 'alone').mkdir()
    (tmp_path / 'alone/state.json').write_text('{')
    content = json.load(open(build(tmp_path)['json']))
    assert (
        [r['method'] for r in content['rows']] == ['KL']
        and len(content['notes']) == 5
        and all('left out' in n and '\n' not in n for n in content['notes'])
    )
    for name in ('suite', 'profile'):
        for text in ('{', '{"models": 3}' if name == 'profile' else '[]'):
            (tmp_path / f'{name}.json').write_text(text)
            with pytest.raises(UserError, match=f'{name}.json'):
                build(tmp_path)
        (tmp_path / f'{name}.json').unlink()


def test_what_is_not_one_experiment_is_not_one_row(tmp_path):
    for seed in (0, 1):
        write(tmp_path, score=40 + seed, seed=seed, experiment='aaaaaaaa')
        write(tmp_path, 'KL', score=44 + seed, seed=seed, teacher='big', experiment='bbbbbbbb')
    write(tmp_path / 'copy', 'KL', score=99.0, seed=0, teacher='big', experiment='bbbbbbbb')  # the same, elsewhere
    write(tmp_path / 'short', 'KL', score=20.0, seed=0, teacher='big', experiment='cccccccc', max_iters=5)
    runs, notes = read_runs(tmp_path)
    rows = {(r.method, r.variant): r for r in table(runs)}
    whole, short = rows['KL', 'bbbbbb'], rows['KL', 'cccccc']
    assert whole.values == [44, 45] and whole.gain.value == 4 and short.values == [20]
    assert short.gain.withheld == 'student alone was run for 10 iterations of batch 2, not 5 of 2'
    assert rows['alone', None].values == [40, 41]
    assert len(notes) == 1 and notes[0].startswith('copy/') and 'repeats student_KL' in notes[0] and len({r.run for r in runs}) == 5
    page = open(build(tmp_path)['html'], encoding='utf-8').read()
    assert 'KL [cccccc]' in page and page.count('title="student_KL_small_quick_scenes_1"') == 1  # each seed is a link
    for run in runs:
        if run.method == 'alone' and run.seed:
            run.experiment = 'dddddddd'
    assert {r.gain.withheld for r in table(runs) if r.variant == 'bbbbbb'} == {'student alone was run with configs that differ'}


def test_curves_of_a_resumed_run(tmp_path):
    own = write(tmp_path)
    later = own / '20260102_000000/vis_data/scalars.json'
    later.parent.mkdir(parents=True)
    later.write_text('{"loss": 9.0, "step": 5}\n{"loss": NaN, "step": 6}\n')
    curve = read_curve(RunFacts('x', 0, 'done', {}, folder=own), 'mIoU')
    assert curve['loss'] == {1: 1, 2: 0.5, 3: 1 / 3, 4: 0.25, 5: 9.0} and curve['mIoU'] == {5: 40}
    svg = curve_layout([('a', 'red', [{0: 0.0, 10: 1.0}])], 'mIoU', width=100, height=100)
    assert svg['lines'][0]['points'] == '46.0,70.0 92.0,8.0' and curve_layout([('a', 'red', [{5: 1.0}])], 'loss') is None


def test_domains_and_corruptions_are_columns_of_the_runs_that_have_them(tmp_path):
    for seed, dusk in ((0, 20.0), (1, 30.0)):
        own = write(tmp_path, seed=seed, fingerprint='f')
        content = read_json(own / 'metrics.json')
        content['test']['domains'] = {'day <i>': dict(mIoU=60.0), 'dusk': dict(mIoU=dusk)}
        write_json(own / 'metrics.json', content)
        signed(own)
        write_json(
            own / 'corruptions.json',
            dict(
                format=1,
                fingerprint='f' if seed == 0 else 'other',
                cells={'clean': {}, 'fog-1': {}, 'fog-3': {}},
                summary=dict(corrupted=10.0, relative=25.0),
            ),
        )
    paths = build(tmp_path)
    text, page = (open(paths[k], encoding='utf-8').read() for k in ('md', 'html'))
    assert (
        '| day &lt;i&gt;, % | dusk, % | mIoU under fog, severity 1, 3 (seed 0), % | % kept under fog, severity 1, 3 (seed 0) |' in text
        and '| 60.00 | 25.00 | 10.00 | 25.00 |' in text
    )
    assert 'corruptions.json is of another config' in text and '<i>' not in page and 'day &lt;i&gt;' in page


def test_the_config_of_a_row_stands_once(tmp_path):
    for seed in range(3):
        write(tmp_path, seed=seed, text='the = "resolved config"\n')
    (tmp_path / 'student_alone_small_quick_scenes_0/config.py').unlink()  # the first that has one shows it
    page = build(tmp_path) and (tmp_path / 'leaderboard.html').read_text()
    assert (
        page.count('resolved config&#34;') == 1
        and page.count('but for the seed') == 1
        and 'href="#student_alone_small_quick_scenes_1">student_alone_small_quick_scenes_1</a> but' in page
    )


def test_the_step_of_a_run_in_stages_is_not_its_cost(tmp_path):
    start = ' --cfg-options model.student.backbone.init_cfg.checkpoint=work_dirs/s/stage_1b_x_seed0/iter_3.pth'
    for seed in (0, 1):
        write(tmp_path, seed=seed)
        write(tmp_path, 'GKD', seed=seed, command='python tools/train.py x.py' + start)
        # as long as it looks
        write(tmp_path, 'joint', seed=seed, command='python tools/train.py x.py' + start.replace('student.backbone', 'teacher'))
    write_json(
        tmp_path / 'profile.json',
        dict(steps={f'small|-|{method}': dict(ratio=ratio) for method, ratio in (('alone', 1.0), ('GKD', 0.7), ('joint', 1.9))}),
    )
    paths = build(tmp_path)
    assert {r['method']: r['step'] for r in read_json(paths['json'])['rows']} == dict(alone=1.0, GKD=None, joint=1.9)
    assert (
        'title="last stage only">–' in open(paths['html'], encoding='utf-8').read()
        and 'only the last was timed' in open(paths['md'], encoding='utf-8').read()
    )


def test_numbers_as_they_are_shown():
    assert [number(v, 1, True) for v in (0.04, -0.04, 1.0, -2.0, None)] == ['0.0', '0.0', '+1.0', '−2.0', '–'] and number(
        0.0034, digits('hIoU')
    ) == '0.003'
    assert [
        with_unit(key, key) for key in ('Set14 PSNR', 'head w3000c500 RMSE', 'Set5 SSIM', 'mIoU under fog, severity 3', '% kept under fog')
    ] == ['Set14 PSNR, dB', 'head w3000c500 RMSE, HU', 'Set5 SSIM', 'mIoU under fog, severity 3, %', '% kept under fog']


def test_a_few_evaluations_are_dots_and_ticks():
    svg = curve_layout([('a', 'red', [{50: 1.0, 100: 2.0, 200: 3.0}])], 'mIoU')
    assert svg['dots'] and [t['text'] for t in svg['x']] == ['50', '100', '200']
    loss = curve_layout([('a', 'red', [{i: 100.0 if i == 50 else 1.0 for i in range(101)}])], 'loss')
    assert not loss['dots'] and float(loss['y'][-1]['text']) == 12  # of what is drawn, an average over nine steps
