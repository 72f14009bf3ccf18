import os
import runpy
import subprocess
import sys

import pytest
import torch
from helpers import ROOT
from helpers.cases import method
from helpers.configs import config
from helpers.networks import build, distiller, segmentor
from PIL import Image

from vkd import UserError
from vkd.build.config import load_config
from vkd.build.identity import fingerprint
from vkd.commands.line import add_config, command, config_of, parser
from vkd.engine import build_runner
from vkd.errors import nearest
from vkd.io.files import read_json, safe_name, write_json


def tool(*words, cwd=ROOT):
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'),
    )


@pytest.mark.slow
def test_a_mistake_is_one_sentence_and_a_traceback_only_with_debug(tmp_path):
    """A real command; the image that cannot be read is met by a worker process of the data loader."""
    for folder in ('images', 'labels'):
        for split in ('train', 'val', 'test'):
            (tmp_path / folder / split).mkdir(parents=True)
            Image.new('RGB' if folder == 'images' else 'L', (48, 32)).save(tmp_path / folder / split / 'a.png')
    (tmp_path / 'images/train/a.png').write_bytes(b'broken')
    cfg = config(distiller(method('KL'), student=segmentor(8, classes=11), teacher=segmentor(8, classes=11)), tmp_path / 'r')
    steps = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='PackSegInputs')]
    for key, split in (('train_dataloader', 'train'), ('val_dataloader', 'val'), ('test_dataloader', 'test')):
        cfg[key].dataset = dict(type='vkd.CamVidDataset', data_root=str(tmp_path), split=split, pipeline=steps)
    cfg.train_dataloader.num_workers = 1
    cfg.dump(tmp_path / 'r.py')
    done = tool('tools/train.py', tmp_path / 'r.py', '--work-dir', tmp_path / 'r')
    last = done.stderr.strip().splitlines()[-1]
    assert (
        done.returncode == 1
        and last.startswith('error: Image ')
        and 'images/train/a.png' in last
        and last.endswith('replace the file.')
        and 'Traceback' not in done.stderr
    )
    assert read_json(tmp_path / 'r/state.json')['lines'][0] == last.removeprefix('error: ')


@pytest.mark.slow
def test_a_short_run_prints_little_unless_verbose_is_given(tmp_path, capsys, monkeypatch):
    """12 iterations with a validation and a test: progress, what a checkpoint filled, and scores; the log file holds the rest."""
    monkeypatch.setenv('VKD_VERBOSE', '0')  # what --verbose sets is undone after the test
    train = runpy.run_path(str(ROOT / 'tools/train.py'))
    cfg = config(distiller(method('KL')), tmp_path / 'r', iters=12, interval=12, log_level='INFO')
    torch.save(dict(state_dict=build(segmentor(16)).state_dict()), tmp_path / 'teacher.pth')
    cfg.model.teacher = dict(model=cfg.model.teacher, checkpoint=str(tmp_path / 'teacher.pth'))
    cfg.dump(tmp_path / 'r.py')

    def printed(main, name, *words):
        capsys.readouterr()
        command(main, train['arguments'](), [str(tmp_path / 'r.py'), '--work-dir', str(tmp_path / name), *words])
        return capsys.readouterr().out

    dumps = ('System environment:', 'Config:', 'Hooks will be executed', 'before_train_iter:')
    short = printed(train['main'], 'short')
    assert len(short.splitlines()) < 40 and not any(text in short for text in dumps)
    assert 'tensors (100%) from' in short and short.count('Iter(train)') == 12 <= short.count('eta: ') and 'test: aAcc' in short
    [log] = (tmp_path / 'short').rglob('*.log')
    assert all(text in log.read_text() for text in (*dumps, 'Initialized by', 'eta: '))
    begun = printed(lambda args: build_runner(config_of(args), args.work_dir), 'begun', '--verbose')
    assert len(begun.splitlines()) > 150 and all(text in begun for text in dumps[:2])


def test_a_model_that_is_built_without_a_run_prints_no_line_a_parameter(capsys, monkeypatch):
    build(distiller(method('KL')))
    assert len(capsys.readouterr().out.splitlines()) < 5
    monkeypatch.setenv('VKD_VERBOSE', '1')
    build(distiller(method('KL')))
    assert capsys.readouterr().out.count('torch.Size') > 50


def test_debug_shows_the_traceback(capsys):
    def fail(args):
        raise UserError('x is y; fix it.')

    with pytest.raises(UserError):
        command(fail, parser('p'), ['--debug'])
    with pytest.raises(SystemExit, match='error: x is y; fix it.'):
        command(fail, parser('p'), [])


@pytest.mark.parametrize(
    'error, told',
    [
        (IndexError('Target 77 is out of bounds.'), 'a label holds a class'),
        (KeyError('PolyLRR is not in the mmseg::parameter scheduler registry'), 'fix this type'),
        (TypeError("Distiller.__init__() got an unexpected keyword argument 'pretrained'"), '_delete_=True'),
        (ValueError('Caught ValueError in a worker\nneed at least one array to concatenate'), 'a data set is empty'),
    ],
)
def test_what_mm_says_of_common_mistakes_comes_with_the_mend(error, told):
    def fail(args):
        raise error

    with pytest.raises(SystemExit) as found:
        command(fail, parser('p'), [])
    assert told in str(found.value) and '\n' not in str(found.value) and str(found.value).startswith('error: ')
    with pytest.raises(type(error)):
        command(fail, parser('p'), ['--debug'])


def test_an_error_that_nobody_knows_keeps_its_traceback():
    def fail(args):
        raise RuntimeError('something new')

    with pytest.raises(RuntimeError, match='something new'):
        command(fail, parser('p'), [])


@pytest.mark.parametrize(
    'text, told',
    [
        ('a = (', 'fix the file'),
        ('a = b', "name 'b' is not defined"),
        ('a = 1 / 0', 'fix the file'),
        ("_base_ = ['no.py']", 'no.py'),
        (None, 'does not exist'),
    ],
)
def test_configs_that_cannot_be_read(tmp_path, text, told):
    path = tmp_path / 'c.py'
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=told) as error:
        load_config(path)
    assert 'c.py' in str(error.value) and '\n' not in str(error.value)


def test_a_fingerprint_tells_experiments_apart_and_folders_not(tmp_path):
    a = config(segmentor(8), tmp_path / 'a')
    b = config(segmentor(8), tmp_path / 'b', log_level='WARNING')
    assert fingerprint(a) == fingerprint(b) != fingerprint(config(segmentor(8), tmp_path / 'c', randomness=dict(seed=1)))
    assert fingerprint(load_config(tmp_path / 'a.py', {'optim_wrapper.optimizer.lr': 1.0})) != fingerprint(a)


def test_what_a_run_starts_from_tells_it_from_another(tmp_path):
    from vkd.build.identity import experiment_fingerprint

    a, b, c = (config(segmentor(8), tmp_path / name, load_from=file) for name, file in (('a', None), ('b', 'x.pth'), ('c', 'y.pth')))
    prints = [(fingerprint(x), experiment_fingerprint(x)) for x in (a, b, c)]
    assert len({x for x, _ in prints}) == len({y for _, y in prints}) == 3
    a.pop('load_from')
    assert (fingerprint(a), experiment_fingerprint(a)) == prints[0], 'None and nothing are the same'


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error():
    code = "from vkd.commands.line import command, parser\ncommand(lambda args: [print('x' * 1000, flush=True) for _ in range(1000)], parser('p'), [])"
    done = subprocess.run(
        f'{sys.executable} -c "$CODE" | head -c 1',
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=dict(os.environ, CODE=code, PYTHONPATH=str(ROOT)),
    )
    assert done.stdout == 'x' and 'BrokenPipe' not in done.stderr and 'fix' not in done.stderr


def test_files_and_names(tmp_path):
    assert safe_name('../../etc/passwd') == 'etc-passwd' and safe_name('..') == 'x' and safe_name('a b/c') == 'a-b-c'
    write_json(tmp_path / 'deep/a.json', dict(a='ü'))
    assert read_json(tmp_path / 'deep/a.json') == dict(a='ü') and read_json(tmp_path / 'none.json', 3) == 3
    assert "'KL'" in nearest('KLL', ['KL', 'AT']) and 'no names' in nearest('x', [])


def test_what_is_no_config_of_a_run_is_told(tmp_path, capsys):
    (tmp_path / 'suite.py').write_text('runs = []\n')
    p = add_config(parser('p'))
    with pytest.raises(SystemExit, match='has no model.*a suite'):
        command(config_of, p, [str(tmp_path / 'suite.py')])
    with pytest.raises(SystemExit):
        command(config_of, p, [str(tmp_path / 'suite.py'), '--cfg-options', 'train_cfg.max_iters'])
    assert 'KEY=VALUE' in capsys.readouterr().err
    (tmp_path / 'own.py').write_text("custom_imports = dict(imports=['not_to_be_found'])\n")
    with pytest.raises(UserError, match='PYTHONPATH'):
        load_config(tmp_path / 'own.py')
