import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import ROOT
from helpers.cases import method
from helpers.configs import config
from helpers.networks import build, distiller, segmentor
from PIL import Image

from vkd import UserError
from vkd.__main__ import main
from vkd.build.config import load_config, resolve_config
from vkd.build.identity import fingerprint
from vkd.commands import GROUPS, load, names, summary
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


# -- vkd … -----------------------------------------------------------------------------------------------------------------
def test_help_shows_every_command_on_a_line_that_fits_a_terminal(capsys):
    main(['--help'])
    lines = capsys.readouterr().out.splitlines()
    assert sorted(name for group in GROUPS.values() for name in group) == names()
    for name in names():
        (line,) = [line for line in lines if line.startswith(f'  {name} ')]
        assert summary(name) in line and line.endswith('.') and len(line) < 90
    for name in ('convert', 'visualize'):
        with pytest.raises(SystemExit):
            main([name, '--help'])
        told = capsys.readouterr().out
        assert all(f'  {kind} ' in told and summary(name, kind) in told for kind in names(name))


@pytest.mark.parametrize('words', [(n,) for n in names() if not names(n)] + [(n, k) for n in names() for k in names(n)], ids='-'.join)
def test_help_of_a_command_says_what_it_does(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*words, '--help'])
    told = ' '.join(capsys.readouterr().out.split())
    assert stop.value.code == 0 and told.startswith(f'usage: vkd {" ".join(words)} ') and summary(*words) in told
    assert '(default: None)' not in told and callable(load(*words).main)


@pytest.mark.parametrize(
    'words, told',
    [
        (['trian'], "'vkd trian' is no command; nearest: 'train'; vkd --help lists all."),
        (['convert', 'segfromer'], "'vkd convert segfromer' is no command; nearest: 'segformer'"),
    ],
)
def test_a_misspelt_command_gives_the_nearest(words, told, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2 and told in capsys.readouterr().err


def test_a_tool_takes_what_its_command_takes():
    """Every tool is a shim of a command, and every command that was a tool has one."""
    tools = [*(ROOT / 'tools').glob('*.py'), *(ROOT / 'tools/converters').glob('*.py')]
    done = {}
    for tool in tools:
        known = {}
        exec(compile(tool.read_text(), str(tool), 'exec'), known | {'__name__': tool.stem}, known)
        done[tool.stem] = known['main'].__module__.removeprefix('vkd.commands.')
        assert known['main'] is load(*done[tool.stem].replace('_', '-').split('.')).main and known['arguments']().description
        assert f'vkd {done[tool.stem].replace(".", " ").replace("_", "-")}' in tool.read_text()
    assert set(done.values()) | {'new', 'list'} == {
        '.'.join(w).replace('-', '_') for n in names() for w in ([(n,)] if not names(n) else [(n, k) for k in names(n)])
    }


def test_what_needs_no_network_imports_no_torch():
    """In a fresh process each; a table is verified by numbers alone."""
    code = "import sys\nfrom vkd.__main__ import main\ntry:\n    main({words})\nexcept SystemExit as stop:\n    assert not stop.code\nassert not {{'torch', 'mmseg', 'matplotlib'}} & set(sys.modules), sys.modules.keys()"
    for words in (['--help'], ['list'], ['train', '--help'], ['leaderboard', 'verify', 'docs/leaderboard/demo']):
        done = tool('-c', code.format(words=words))
        assert done.returncode == 0 and done.stdout, (words, done.stderr[-2000:])


def test_mm_builds_what_vkd_registers_after_its_import_alone():
    """A fresh process, as of mm with custom_imports = dict(imports=['vkd']); quiet, though mmseg is not."""
    done = tool(
        '-c',
        'import sys, vkd\n'
        "assert 'torch' not in sys.modules\n"
        'from mmengine.registry import HOOKS, LOOPS, MODELS, TRANSFORMS, init_default_scope\n'
        "student = dict(model=dict(type='vkd.Restorer', backbone=dict(type='IMDN', scale=2)))\n"
        "model = MODELS.build(dict(type='vkd.Distiller', student=student, methods=[]))\n"
        "assert type(model) is vkd.Distiller and len(vkd.METHODS.module_dict) > 10\n"
        "assert HOOKS.get('vkd.RandomState') and LOOPS.get('vkd.AlternateTrainLoop') and TRANSFORMS.get('vkd.Corrupt')\n"
        "init_default_scope('mmseg')\n"
        "assert MODELS.get('EncoderDecoder') is None and MODELS.get('mmseg.EncoderDecoder')\n"
        'try:\n    vkd.nothing\nexcept AttributeError as error:\n    print(error)',
    )
    assert done.returncode == 0 and done.stdout == "module 'vkd' has no attribute 'nothing'\n", done.stdout + done.stderr


# -- configs that are shipped ----------------------------------------------------------------------------------------------
def test_a_config_of_a_package_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = 'kl/kl_narrow_wide_quick_demo.py'
    assert Path(resolve_config(f'vkd::{name}')) == ROOT / 'configs' / name == Path(resolve_config(f'configs/{name}'))
    cfg = load_config(f'vkd::{name}')
    assert cfg.filename == f'vkd::{name}' and cfg.to_dict() == load_config(ROOT / 'configs' / name).to_dict()
    for wrong, told in (
        (name, f'give vkd::{name}, which vkd ships'),
        ('vkd::kl/kl_narow_wide_quick_demo.py', f'no such file below vkd; nearest: {name!r}'),
        ('mmnowhere::x.py', "the package 'mmnowhere' is not installed"),
        ('a b::x.py', "the package 'a b' is not installed"),
        ('configs/no.py', 'does not exist'),
    ):
        with pytest.raises(UserError) as error:
            load_config(wrong)
        assert told in str(error.value) and str(error.value).count('\n') == 0


def test_base_of_a_package(tmp_path):
    """Without mmengine's table of distributions, which has no vkd, and names for mmseg one that a fork does not have."""
    import mmseg
    from mmengine.config import Config

    before = Config._get_cfg_path
    (tmp_path / 'a.py').write_text(
        "_base_ = ['mmseg::_base_/datasets/ade20k.py', 'vkd::_base_/models/lite0.py', 'b.py']\ntrain_dataloader = dict(batch_size=3)\n"
    )
    (tmp_path / 'b.py').write_text('mine = 1\n')
    cfg, plain = load_config(tmp_path / 'a.py'), Config.fromfile(Path(mmseg.__file__).parent / '.mim/configs/_base_/datasets/ade20k.py')
    assert cfg.mine == 1 and cfg.student_name and cfg.train_dataloader.batch_size == 3
    assert cfg.val_dataloader == plain.val_dataloader, 'the same experiment as the file by its path: no _scope_'
    (tmp_path / 'a.py').write_text("_base_ = 'vkd::_base_/models/lit0.py'\n")
    with pytest.raises(
        UserError,
        match=r"a\.py' cannot be read \(Config 'vkd::_base_/models/lit0.py': no such file below vkd; nearest: '_base_/models/lite0.py'",
    ):
        load_config(tmp_path / 'a.py')
    assert Config._get_cfg_path is before


# -- vkd list, vkd new -----------------------------------------------------------------------------------------------------
def test_list_says_what_is_registered(capsys):
    from vkd import DATASETS, METHODS, METRICS

    for what, registry in (('methods', METHODS), ('datasets', DATASETS), ('metrics', METRICS)):
        main(['list', what])
        listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
        own = {k for k, v in registry.module_dict.items() if v.__module__.startswith('vkd.')}
        assert {name.removeprefix('vkd.') for name in listed} == own and all(listed.values())
    main(['list', 'models', 'restor'])
    assert 'vkd.Restorer ' in capsys.readouterr().out
    main(['list', 'configs', 'kl_narrow', 'demo'])
    assert capsys.readouterr().out.split() == ['vkd::kl/kl_narrow_wide_quick_demo.py']
    main(['list'])
    assert 'vkd list methods' in capsys.readouterr().out


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A plain config of one's own, and a larger one."""
    monkeypatch.chdir(tmp_path)
    for name, width in (('mine', 8), ('large', 16)):
        cfg = config(segmentor(width), tmp_path / name)
        cfg.pop('student_name', None)
        cfg.dump(f'{name}.py')
    return tmp_path


def test_new_writes_what_a_suite_of_ones_own_takes(mine, capsys):
    from vkd.runs.cells import read_suite

    main(['new', 'mine.py', '--teacher', 'large.py', '--method', 'KL'])
    assert [line for line in capsys.readouterr().out.splitlines()][:3] == ['mine_data.py', 'mine_distil.py', 'mine_suite.py']
    cells = {cell.name: cell for cell in read_suite('mine_suite.py')[1]}
    assert sum(n.startswith('alone_mine_own') for n in cells) == sum(n.startswith('kl_mine_large') for n in cells) == 3 and len(cells) == 7
    assert next(c for n, c in cells.items() if n.startswith('teacher_large')).config == 'mine_distil.py'
    with pytest.raises(SystemExit, match="'mine_data.py' exists and is not overwritten; choose another --name or --out"):
        main(['new', 'mine.py'])
    main(['new', 'mine.py', '--out', 'there', '--name', 'it', '--checkpoint', 'x.pth'])
    assert load_config('there/it_distil.py').model.teacher == dict(cfg='mine.py', checkpoint='x.pth')
    assert len(read_suite('there/it_suite.py')[1]) == 6
    for words, told in (
        (['nothing.py'], "'nothing.py' does not exist"),
        (['mine.py', '--method', 'KLL', '--name', 'z'], "method 'KLL' is unknown; nearest: 'KL'"),
        (['mine_distil.py', '--name', 'z'], 'is a distillation already'),
    ):
        with pytest.raises(SystemExit, match=told):
            main(['new', *words])


def test_new_leaves_room_for_data_where_a_config_names_none(mine):
    (mine / 'bare.py').write_text(f'model = {load_config("mine.py").model.to_dict()!r}\n')
    main(['new', 'bare.py'])
    cfg = load_config('bare_distil.py')
    assert cfg.train_dataloader.dataset.data_root == 'data/bare' and cfg.test_dataloader.dataset.data_prefix.img_path == 'images/val'
    assert cfg.test_evaluator.type == 'vkd.SegMetric' and cfg.model.type == 'vkd.Distiller' and '_data' not in cfg


# -- from a wheel, anywhere ------------------------------------------------------------------------------------------------
def test_a_wheel_trains_tests_and_exports_in_another_folder(tmp_path):
    """The package as pip builds and installs it, beside the libraries that are here; nothing of the repository is in sight."""
    for name in ('vkd', 'configs'):
        shutil.copytree(ROOT / name, tmp_path / 'source' / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'setup.cfg', 'README.md', 'LICENSE', 'MANIFEST.in'):
        shutil.copy(ROOT / name, tmp_path / 'source' / name)
    (tmp_path / 'empty').mkdir()
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '-q']
    env = dict(os.environ, PYTHONPATH=str(tmp_path / 'site'), OMP_NUM_THREADS='1', PIP_NO_INDEX='1')

    def run(*words):
        done = subprocess.run([*map(str, words)], cwd=tmp_path / 'empty', env=env, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout

    run(*pip, 'wheel', '--no-deps', '--no-build-isolation', '-w', tmp_path / 'wheel', tmp_path / 'source')
    (wheel,) = (tmp_path / 'wheel').glob('*.whl')
    run(*pip, 'install', '--no-deps', '--target', tmp_path / 'site', wheel)
    shutil.rmtree(tmp_path / 'source')
    vkd = tmp_path / 'site/bin/vkd'
    assert 'vkd::suites/demo.py' in run(vkd, 'list', 'configs', 'suites')
    assert str(tmp_path / 'site') in run(sys.executable, '-c', 'import vkd; print(vkd.__file__)')
    short = {
        'train_cfg.max_iters': 2,
        'train_cfg.val_interval': 2,
        'default_hooks.checkpoint.interval': 2,
        'train_dataloader.batch_size': 2,
    }
    short |= {f'{split}_dataloader.dataset.length': n for split, n in (('train', 4), ('val', 1), ('test', 1))}
    (tmp_path / 'empty/suite.py').write_text(
        f'_short = {short!r}\n'
        "teachers = dict(wide=dict(config='vkd::alone/alone_wide_quick_demo.py', options=_short))\n"
        "runs = [dict(method='KL', student='narrow', teacher='wide', config='vkd::{method}/{method}_narrow_wide_quick_demo.py', "
        'seeds=[0], options=_short)]\n'
    )
    assert 'leaderboard.html' in run(vkd, 'suite', 'suite.py', '--jobs', 1)
    facts = read_json(next((tmp_path / 'empty/work_dirs/suite').glob('kl_*/run.json')))
    assert facts['config'] == 'vkd::kl/kl_narrow_wide_quick_demo.py' and facts['command'].startswith(
        f'vkd train {facts["config"]} --work-dir'
    )
    teacher = next((tmp_path / 'empty/work_dirs/suite').glob('teacher_*/iter_2.pth'))
    options = [f'{k}={v}' for k, v in short.items()]
    run(vkd, 'train', facts['config'], '--cfg-options', f'model.teacher.checkpoint={teacher}', *options)
    own = tmp_path / 'empty/work_dirs/kl_narrow_wide_quick_demo'
    assert (
        read_json(own / 'run.json')['command'].startswith('vkd train vkd::kl/') and read_json(own / 'metrics.json')['test']['images'] == 1
    )
    told = run(
        vkd, 'export', facts['config'], own / 'iter_2.pth', '--out', 'exported', '--cfg-options', f'model.teacher.checkpoint={teacher}'
    )
    assert (
        told.splitlines()[0] == 'exported/kl_narrow_wide_quick_demo_student.pth' and (tmp_path / 'empty' / told.splitlines()[0]).is_file()
    )
    assert 'the table says what its runs say' in run(vkd, 'leaderboard', 'verify', 'work_dirs/suite')
