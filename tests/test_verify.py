import json
import re

import pytest
from helpers import ROOT
from helpers.run_folders import EVIL, signed, write

from vkd import UserError
from vkd.io.files import digest, read_json, sealed, write_json
from vkd.leaderboard import build
from vkd.leaderboard.external import LARGEST, read_results, submit
from vkd.leaderboard.reading import read_runs
from vkd.leaderboard.verify import refresh, verify


@pytest.fixture
def suite(tmp_path):
    for seed, score in enumerate([40.0, 41.5, 42.25]):
        write(tmp_path / 'runs', score=score, seed=seed)
        write(tmp_path / 'runs', 'KL', score=score + 3, seed=seed, teacher='big')
    build(tmp_path / 'runs', tmp_path / 'page')
    return tmp_path


def replace(file, old, new, count=1):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, count))


def test_a_table_as_it_was_written(suite):
    assert verify(suite / 'page') == [] and verify(suite / 'page', suite / 'runs') == []


@pytest.mark.parametrize(
    'name, old, new',
    [('json', '"mIoU": 41.5', '"mIoU": 41.6'), ('md', '41.25', '41.26'), ('csv', '41.25', '41.26'), ('html', '41.25', '41.26')],
)
def test_a_changed_digit(suite, name, old, new):
    replace(suite / f'page/leaderboard.{name}', old, new)
    wrong = verify(suite / 'page')
    assert wrong and any(f'leaderboard.{name}' in line for line in wrong)


def test_a_forged_score_with_digests_to_fit_is_found_by_the_run_folders(suite):
    content = read_json(suite / 'page/leaderboard.json')
    with pytest.raises(UserError, match='no leaderboard.json with a digest'):  # no way to have it sealed anew
        write_json(suite / 'page/leaderboard.json', {k: v for k, v in content.items() if k != 'digest'})
        refresh(suite / 'page')
    next(f for r in content['rows'] for f in r['runs'] if f['test']['mIoU'] == 41.5)['test']['mIoU'] = 41.9
    write_json(suite / 'page/leaderboard.json', sealed({k: v for k, v in content.items() if k != 'digest'}))
    refresh(suite / 'page')
    assert verify(suite / 'page') == []
    assert any('other scores' in line for line in verify(suite / 'page', suite / 'runs'))


def test_a_gain_that_its_runs_do_not_give(suite):
    file = suite / 'page/leaderboard.json'
    content = read_json(file)
    next(r for r in content['rows'] if r['method'] == 'KL')['gain']['value'] = 30.0
    content['digest'] = digest({k: v for k, v in content.items() if k != 'digest'})
    write_json(file, content)
    assert [x for x in verify(suite / 'page') if re.match(r"small KL: gain is {'value': 30.0.*and its runs give {'value': 3.0", x)]


def test_a_run_that_was_changed_is_left_out_of_the_table(suite):
    own = next((suite / 'runs').glob('*KL*_1'))
    replace(own / 'metrics.json', '"mIoU": 44.5', '"mIoU": 74.5')
    runs, notes = read_runs(suite / 'runs')
    assert len(runs) == 5 and 'was changed after the run' in notes[0]
    metrics = read_json(own / 'metrics.json')
    write_json(own / 'metrics.json', {k: v for k, v in metrics.items() if k != 'digest'})
    assert len(read_runs(suite / 'runs')[0]) == 5, 'without its digest neither'
    assert any('changed after the run' in line for line in verify(suite / 'page', suite / 'runs'))


def test_no_table(tmp_path):
    with pytest.raises(UserError, match='no leaderboard.json with a digest'):
        verify(tmp_path)


@pytest.mark.parametrize('folder', sorted(p.parent for p in (ROOT / 'docs/leaderboard').glob('*/leaderboard.json')), ids=lambda p: p.name)
def test_what_is_committed(folder):
    assert verify(folder) == []


# -- results of others --------------------------------------------------------------------------------------------------------
KNOWN = {('scenes', 'quick')}


def test_results_of_others_stand_in_rows_of_their_own(suite):
    for seed, score in enumerate([50.0, 52.0, 51.0]):
        write(suite / 'theirs', score=score, seed=seed)
        write(suite / 'theirs', 'KL', score=score + 1, seed=seed, teacher='big')
    build(suite / 'theirs')
    kept = submit(suite / 'theirs/leaderboard.json', suite / 'runs', 'A. Lab/../x', KNOWN)
    assert (
        kept.parent == suite / 'runs/external' and submit(suite / 'theirs/leaderboard.json', suite / 'runs', 'A. Lab/../x', KNOWN) == kept
    )
    build(suite / 'runs', suite / 'page')
    rows = {(r['method'], r['external']): r for r in read_json(suite / 'page/leaderboard.json')['rows']}
    assert (
        len(rows) == 4
        and rows['KL', None]['gain']['value'] == pytest.approx(3)
        and rows['KL', kept.stem]['gain']['value'] == pytest.approx(1)
    ), 'each against its own student alone'
    assert '(external: ' in (suite / 'page/leaderboard.md').read_text() and verify(suite / 'page', suite / 'runs') == []
    replace(kept, '52.0', '59.0')
    with pytest.raises(UserError, match='were changed'):
        read_runs(suite / 'runs')


def test_the_first_of_two_results_stays(suite):
    write(suite / 'theirs', score=50.0)
    build(suite / 'theirs')
    submit(suite / 'theirs/leaderboard.json', suite / 'runs', 'lab', KNOWN)
    own = next((suite / 'theirs').glob('student*'))
    write_json(own / 'metrics.json', dict(format=1, test=dict(mIoU=51.0)))
    signed(own)
    build(suite / 'theirs')
    with pytest.raises(UserError, match='already with other numbers; the first stays'):
        submit(suite / 'theirs/leaderboard.json', suite / 'runs', 'lab', KNOWN)


def edited(suite, change):
    content = read_json(suite / 'page/leaderboard.json')
    change(content)
    content['digest'] = digest({k: v for k, v in content.items() if k != 'digest'})
    file = suite / 'sent.json'
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda c: c.update(format=7), r'\$.format'),
        (lambda c: c['rows'][0].update(method=EVIL), r'\$.rows\[0\].method'),
        (lambda c: c['rows'][0].update(student='../../etc'), r'\$.rows\[0\].student'),
        (lambda c: c['rows'][0]['runs'][0].update(config='/etc/passwd'), r'runs\[0\].config'),
        (lambda c: c['rows'][0]['runs'][0].update(config='configs/../../x.py'), r'runs\[0\].config'),
        (lambda c: c['rows'][0]['runs'][0]['test'].update(mIoU=float('nan')), 'NaN'),
        (lambda c: c['rows'][0]['runs'][0]['test'].update(classes=[EVIL]), 'test.classes'),
        (lambda c: c['rows'][0]['runs'][0].update(seconds=-5), r'runs\[0\].seconds'),
        (lambda c: c['rows'][0]['runs'][0].update(lines=EVIL), r'runs\[0\].lines'),
        (lambda c: c['rows'][0].update(method='KL\n'), r'\$.rows\[0\].method'),
        (lambda c: c['rows'][0]['runs'][0]['test'].update(images='many'), 'test.images'),
        (lambda c: c['rows'][0]['runs'][0]['test'].update(IoU=3.0), 'test.IoU'),
        (lambda c: c['rows'][0]['runs'][0]['test'].update(IoU=['a', 'b']), 'test.IoU'),
        (lambda c: c['rows'][0]['runs'][0]['test'].update(classes=5), 'test.classes'),
        (lambda c: c['rows'][0]['runs'][0]['test'].update(domains='x'), 'test.domains'),
        (lambda c: c['rows'][0]['runs'][0]['test'].update(sets=dict(a=1)), 'test.sets'),
        (lambda c: c['rows'][0]['runs'][0]['test'].update(mIoU=1000.0), 'test.mIoU'),
        (lambda c: c['rows'][0]['runs'][0].update(corruptions=dict(summary=1)), 'corruptions'),
        (lambda c: c['rows'][0]['runs'][0].update(attacks=dict(cells=dict(fgsm={}))), 'attacks'),
        (lambda c: c['rows'][0]['runs'][0].update(more=1), r'runs\[0\]'),
        (lambda c: c['rows'][0].update(runs=[]), r'rows\[0\].runs'),
    ],
)
def test_what_anybody_may_have_written(suite, change, message):
    with pytest.raises(UserError, match=message):
        submit(edited(suite, change), suite / 'runs', 'lab', KNOWN)
    assert not (suite / 'runs/external').exists()


def test_what_real_runs_hold_is_taken(suite):
    """Names of machines and classes, sets of more than a hundred images, peers, and corruptions."""

    def more(content):
        run = content['rows'][0]['runs'][0]
        run['hardware'] = dict(
            cpu='Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz', gpu='NVIDIA H100 80GB HBM3', threads=8, cores=2, memory_gib=125.6
        )
        run['test'].update(
            classes=["person's bag", 'chest of drawers;chest', 'door: glass'],
            sets={'Manga109': dict(PSNR=30.0, per_image={f'folder/{i}': [30.0, 0.9] for i in range(109)})},
            peers=dict(cnn=dict(role='student', mIoU=3.0)),
        )
        run['corruptions'] = dict(
            format=1, fingerprint='0' * 12, cells={'fog-3': dict(mIoU=1.0)}, summary=dict(corrupted=1.0, relative=2.0)
        )

    assert submit(edited(suite, more), suite / 'runs', 'lab', KNOWN).is_file()


@pytest.mark.parametrize('file', sorted((ROOT / 'docs/leaderboard').glob('*/leaderboard.json')), ids=lambda p: p.parent.name)
def test_our_own_tables_can_be_sent(file):
    assert read_results(file)['rows']


def test_of_a_table_with_a_failed_run_the_others_are_taken(suite):
    write(suite / 'theirs', score=50.0)
    write(suite / 'theirs', 'KL', state='failed', line=EVIL, teacher='big')
    build(suite / 'theirs')
    kept = submit(suite / 'theirs/leaderboard.json', suite / 'runs', 'lab', KNOWN)
    assert [run['method'] for run in read_json(kept)['runs']] == ['alone'] and 'script' not in kept.read_text()


def test_files_that_are_no_results(suite, tmp_path):
    file = tmp_path / 'x.json'
    for text, message in (
        ('{"format": 1, "rows": [', 'no json'),
        ('[' * 100000, 'no json'),
        ('[]', 'at \\$'),
        (' ' * (LARGEST + 1), 'bytes'),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=message):
            read_results(file)
    replace(suite / 'page/leaderboard.json', '"mIoU": 41.5', '"mIoU": 41.6')
    with pytest.raises(UserError, match='digest does not fit'):
        submit(suite / 'page/leaderboard.json', suite / 'runs', 'lab', KNOWN)


def test_another_protocol_is_refused(suite):
    write(suite / 'theirs', protocol='long')
    build(suite / 'theirs')
    with pytest.raises(UserError, match="of protocol 'long' on 'scenes', and this table has quick on scenes"):
        submit(suite / 'theirs/leaderboard.json', suite / 'runs', 'lab', KNOWN)
