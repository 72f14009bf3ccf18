"""Configs composed from their parts equal the files that say the same; what does not exist or does not fit is said."""

import argparse
import runpy
from pathlib import Path

import pytest
from helpers import ROOT

from vkd.build.compose import compose, composed_of, names_in, parts, write_composed
from vkd.build.config import load_config, resolve_config
from vkd.build.identity import NAME_KEYS, experiment, fingerprint
from vkd.commands.line import add_parts
from vkd.errors import UserError
from vkd.runs.cells import read_suite

SHIPPED = sorted(p for p in (ROOT / 'configs').glob('*/*.py') if p.parent.name not in ('_base_', 'suites'))
#: what a file says that its parts do not: beginnings of names, by folder
OWN = {
    'a schedule of its own': (
        'alone/alone_edsr-baseline_quick_t91-bsds-x',
        'alone/alone_lite2-in1k_quick_',
        'alone/alone_mit-b2_crops_',
        'alone/alone_mit-b2_quick_',
        'alone/alone_rcan_1000k_',
    ),
    'it starts from another run': (
        'alone/alone_imdn_1000k_div2k-x3',
        'alone/alone_imdn_1000k_div2k-x4',
        'gloredi/alone_glorenet_finetune_',
    ),
    'the network of one paper, under its losses': tuple(f'alone/alone_{n}_official_' for n in ('lvt', 'mit-b0', 'mit-b1', 'mit-b2')),
    'a head of CLIP on a network': (
        *(f'alone/alone_{n}-csh' for n in ('lite0-in1k', 'mit-b2', 'segnext-b', 'swin-t')),
        'chimeraseg/chimeraseg_segnext-b-csh_clip-b16_st',  # and the second phase begins with the first one
        'chimeraseg/chimeraseg_lite0-in1k-csh-k0_stand-in_',
    ),
    'stages, which have no task, and what begins with them': (
        'gkd/gkd_',
        'gkd/featurekd_',
        'gkd/alone_deit-s-gkd',
        'gkd/alone_deit-ti-',
        'gkd/alone_dinov2-s-gkd',
    ),
    "a teacher made of the student's own kind, with views and steps of its own": ('gloredi/gloredi-',),
    'taps or a level that suit a small network': (
        *(f'{m}/{m}_narrow_wide_' for m in ('featurekd', 'fitnet', 'mgd')),
        'mgd/mgd+cwd_narrow_wide_',
        'waveletkd/waveletkd_imdn-half_edsr-baseline_quick_',
    ),
    'a probe that fits a deep network': ('outputkd/outputkd_imdn_rcan_',),
}


def is_own(path):
    return any(path.relative_to(ROOT / 'configs').as_posix().startswith(own) for names in OWN.values() for own in names)


def told(cfg):
    return [fingerprint(cfg), *(cfg.get(f'{part}_name') for part in NAME_KEYS)]


@pytest.mark.parametrize('folder', sorted({p.parent.name for p in SHIPPED}))
def test_parts_say_what_the_shipped_files_say(folder, monkeypatch):
    """Every shipped config that is no recipe of its own equals, to the last key, what its name stands for."""
    monkeypatch.chdir(ROOT)
    for path in SHIPPED:
        if path.parent.name != folder or is_own(path):
            continue
        assert told(compose(**names_in(path), files=False)) == told(load_config(path)), path.stem


def test_what_is_said_to_be_of_its_own_is(monkeypatch):
    """Each file that is kept because its parts do not say the same would be another run, or none, if it were composed."""
    monkeypatch.chdir(ROOT)
    for path in filter(is_own, SHIPPED):
        try:
            cfg = compose(**names_in(path), files=False)
        except UserError:
            continue
        assert fingerprint(cfg) != fingerprint(load_config(path)), path.stem
    assert all(any(p.relative_to(ROOT / 'configs').as_posix().startswith(own) for p in SHIPPED) for names in OWN.values() for own in names)


def test_the_file_that_says_more_is_taken(monkeypatch):
    monkeypatch.chdir(ROOT)
    own = compose('narrow', 'demo', 'quick', 'FeatureKD', 'wide')
    assert own.model.methods[0].adapter == 'always' and own.filename == 'configs/featurekd/featurekd_narrow_wide_quick_demo.py'
    assert compose('narrow', 'demo', 'quick', 'FeatureKD', 'wide', files=False).model.methods[0].student == 'backbone[3]'
    # a teacher that is trained for longer, by a file of its own, leaves its last checkpoint elsewhere
    assert compose('mit-b0', 'camvid-160x160', 'crops', 'KL', 'mit-b2').model.teacher.checkpoint.endswith('/iter_600.pth')


def test_a_pair_that_no_file_names(monkeypatch):
    """On the data's classes, each network on its own normalisation, with the schedule of its kind."""
    monkeypatch.chdir(ROOT)
    cfg = compose('r18', 'nyuv2-480x640', '40k', 'cwd', 'mit-b1', options={'randomness.seed': 3})
    assert [cfg.model.student[head].num_classes for head in ('decode_head', 'auxiliary_head')] == [40, 40]
    assert cfg.model.teacher.model.decode_head.num_classes == 40 and cfg.randomness.seed == 3
    assert cfg.optim_wrapper.optimizer.type == 'SGD' and cfg.default_hooks.checkpoint.interval == 2000
    assert cfg.model.teacher.checkpoint == 'work_dirs/alone_mit-b1_40k_nyuv2-480x640/iter_40000.pth' and 'view' not in cfg.model.teacher
    names = experiment(cfg)
    assert [names[k] for k in ('method', 'student', 'teacher', 'protocol', 'data')] == ['CWD', 'r18', 'mit-b1', '40k', 'nyuv2-480x640']
    other = compose('mit-b0', 'camvid-240x320', 'quick', 'KL', 'lite2-in1k')
    assert other.model.teacher.view == dict(mean=[127.5] * 3, std=[127.5] * 3) and 'checkpoint' not in other.model.teacher.model


def test_peers_learn_by_their_own_recipes(monkeypatch):
    monkeypatch.chdir(ROOT)
    cfg = compose('r18', 'camvid-360x360', '20k', 'DML', 'mit-b0')
    assert cfg.optim_wrapper.constructor == 'vkd.PerRole' and cfg.optim_wrapper.vit.optimizer.type == 'AdamW'
    assert (
        cfg.model.methods == [dict(type='DML')]
        and cfg.model.teachers.vit.trainable
        and cfg.val_evaluator.peers == dict(cnn='student', vit='vit')
    )


def test_several_parts_of_one_name(monkeypatch):
    """The one that fits is taken; a file's own name is meant."""
    monkeypatch.chdir(ROOT)
    assert compose('mit-b0', 'camvid-360x360', '20k').optim_wrapper.optimizer.type == 'AdamW'
    assert compose('r18', 'camvid-360x360', '20k').optim_wrapper.optimizer.type == 'SGD'
    assert compose('r18', 'camvid-360x360', 'vit_20k').optim_wrapper.optimizer.type == 'AdamW'
    assert compose('mit-b0', 'cityscapes-512x1024', 'mmseg').train_dataloader.batch_size == 8
    assert compose('mit-b0', 'cityscapes-512x1024', 'official', files=False).train_dataloader.batch_size == 2
    assert compose('untouched', 'demo-ct-12v', 'quick').optim_wrapper.optimizer.lr == 0


@pytest.mark.parametrize(
    'names, sentence',
    [
        (('mit-b9', 'demo', 'quick'), r"Student 'mit-b9' is not among the parts of configs; nearest: 'mit-b2', 'mit-b1', 'mit-b0'\."),
        (('mit-b0', 'camvid-160', 'crops'), "Data 'camvid-160' is not among .* nearest: 'camvid-160x160'"),
        (('mit-b0', 'camvid-160x160', 'crop'), "Protocol 'crop' is not among .* nearest: 'crops'"),
        (('mit-b0', 'camvid-160x160', 'crops', 'KLL', 'mit-b2'), "Method 'KLL' is not registered; nearest: 'KL'"),
        (('mit-b0', 'camvid-160x160', 'crops', 'KL', 'mitb2'), "Teacher 'mitb2' is not among .* nearest: 'mit-b2'"),
        (('mit-b0', 'camvid-160x160', 'crops', None, 'mit-b2'), "Teacher 'mit-b2' was given without a method; add one"),
        (('mit-b0', 'nyuv2-480x640', 'quick'), r"Protocol 'quick' does not fit student 'mit-b0', data 'nyuv2-480x640'.*camvid_quick \(for data camvid-\*\).*'camvid_quick'\."),
        (('lite0', 'demo', 'stage1b'), "Protocol 'stage1b' is the name of several parts that fit .* gkd_stage1; gkd_stage1b_paper; name one of them"),
        (('narrow', 'camvid-160x160', 'crops'), "The student 'narrow' weighs 9 classes, and data 'camvid-160x160' have 11"),
        (('imdn', 'camvid-160x160', 'crops'), "The student 'imdn' restores images, and data 'camvid-160x160' are for segmentation"),
        (('mit-b0', 'div2k-x4', '300k'), "The student 'mit-b0' segments images, and data 'div2k-x4' are for super-resolution"),
        (('imdn-as', 'div2k-x4', '300k'), "The student 'imdn-as' keeps the size of images, and data 'div2k-x4' are of scale 4"),
        (('imdn', 'realsr', '300k'), "The student 'imdn' enlarges images, and data 'realsr' are of scale 1"),
        (('imdn', 'demo-ct-12v', 'quick'), "Student 'imdn' takes images of 3 channels, and data 'demo-ct-12v' has 1"),
        (('mit-b0', 'camvid-160x160', 'crops', 'KL', 'edsr'), "The teacher 'edsr' restores images, and data 'camvid-160x160'"),
    ],
)  # fmt: skip
def test_what_is_said_of_parts_that_do_not_fit(names, sentence, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match=sentence):
        compose(*names)


# -- own parts -------------------------------------------------------------------------------------------------------------
@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with parts of its own beside those of vkd: a narrower network, and less data."""
    models, datasets = tmp_path / 'configs/_base_/models', tmp_path / 'configs/_base_/datasets'
    models.mkdir(parents=True)
    datasets.mkdir()
    base = (ROOT / 'configs/_base_').as_posix()
    (models / 'mine.py').write_text(f"_base_ = '{base}/models/mit-b0.py'\nstudent_name = 'mine'\nstudent_kind = 'transformer'\n")
    (datasets / 'few.py').write_text(
        f"_base_ = '{base}/datasets/demo.py'\ndata_name = 'few'\ntrain_dataloader = dict(dataset=dict(length=8, metainfo=dict(classes=tuple('abcd'))))\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_parts_of_ones_own(project):
    cfg = compose('mine', 'few', 'demo_quick', 'KL', 'mit-b2')
    assert cfg.model.student.decode_head.num_classes == cfg.model.teacher.model.decode_head.num_classes == 4
    assert cfg.model.teacher.checkpoint == 'work_dirs/alone_mit-b2_quick_few/iter_900.pth' and cfg.filename == 'kl_mine_mit-b2_quick_few.py'
    (project / 'configs/_base_/models/mit-b0.py').write_text("student_name = 'mit-b0'\n")  # hides vkd's own of that name
    assert [p.path.as_posix() for p in parts('student') if p.name == 'mit-b0'] == ['configs/_base_/models/mit-b0.py']
    with pytest.raises(UserError, match='mit-b0.py.* has no model.student, which a student is made of'):
        compose('mit-b0', 'few', 'demo_quick')


@pytest.mark.parametrize(
    'text, sentence',
    [
        ("student_name = 'x\n", r'is no Python \(unterminated string literal .*line 1\); fix it'),
        ("student_name = 'x'\nstudent_fits = dict(dota='demo')", "student_fits has a condition on 'dota'; nearest: 'data'"),
        ("student_name = str('x')", 'student_name, student_fits and student_kind must be plain values'),
        (
            "student_name = 'x'\nmodel = dict(student=dict(type='X'))\nrandomness = dict(seed=1)",
            "sets 'randomness', which another of its parts sets already",
        ),
    ],
)
def test_a_part_that_is_broken(project, text, sentence):
    (project / 'configs/_base_/models/x.py').write_text(text)
    with pytest.raises(UserError, match=sentence):
        compose('x', 'few', 'demo_quick')


# -- files that have gone --------------------------------------------------------------------------------------------------
def test_a_file_that_has_gone_is_composed_from_its_name(project, capsys):
    path = 'configs/kl/kl_mine_mit-b2_crops_few.py'
    cfg = load_config(path, {'randomness.seed': 7})
    assert cfg.filename == path and cfg.randomness.seed == 7 and cfg.model.methods == [dict(type='KL')]
    assert resolve_config(path) == path
    for other in (
        'kl_mine_mit-b2_crops_few.py',
        'elsewhere/kl/kl_mine_mit-b2_crops_few.py',
        'configs/kl/mine.py',
        'configs/kl/deeper/kl_a_b_c_d.py',
    ):
        with pytest.raises(UserError, match='does not exist in'):
            load_config(other)
    with pytest.raises(
        UserError, match="'configs/kl/kl_mine_mit-b2_crops_fw.py' does not exist, and cannot be composed from its name: Data 'fw'"
    ):
        load_config('configs/kl/kl_mine_mit-b2_crops_fw.py')


# -- the command line and suites -------------------------------------------------------------------------------------------
def arguments(*words):
    p = argparse.ArgumentParser()
    p.add_argument('config')
    p.add_argument('--cfg-options')
    p.add_argument('--work-dir')
    return add_parts(p).parse_args(words)


def test_train_takes_parts_in_place_of_a_file(project, monkeypatch):
    args = arguments('--student', 'mine', '--data', 'few', '--protocol', 'crops')
    cfg = composed_of(args)
    assert args.config == cfg.filename == str(Path('work_dirs/alone_mine_crops_few/alone_mine_crops_few.py'))
    write_composed(cfg)
    assert told(load_config(args.config)) == told(cfg)
    assert composed_of(arguments('x.py')) is None
    for words, sentence in (
        (['x.py', '--student', 'mine'], "Config 'x.py' and --student mine were given; keep the file, or the parts"),
        (['--student', 'mine', '--data', 'few'], '--protocol is missing; give a config file, or --student'),
        ([], 'No config was given; give a config file, or --student'),
    ):
        with pytest.raises(UserError, match=sentence):
            composed_of(arguments(*words))
    p = runpy.run_path(str(ROOT / 'tools/train.py'))['arguments']()
    assert p.parse_args(['x.py']).config == 'x.py' and p.parse_args(['--student', 'a']).student == 'a'


SUITE = '''
teachers = {'mit-b2': dict(protocol='crops')}
runs = [dict(method='alone', student='mine', data='few', protocol='crops', seeds=[0, 1]),
        dict(method=['KL', 'TransKD-base'], student='mine', teacher='mit-b2', data='few', protocol='crops', seeds=[0]),
        dict(method='DML', student='mine', peer='lite0', data='few', protocol='crops', seeds=[0], options={'model.methods.0.tau': 2})]
'''


def test_a_suite_composes_its_configs(project):
    (project / 'suite.py').write_text(SUITE)
    _, cells = read_suite('suite.py')
    assert [cell.name for cell in cells] == [
        'alone_mine_crops_few_seed0',
        'alone_mine_crops_few_seed1',
        'teacher_mit-b2_crops_few_seed0',
        'kl_mine_mit-b2_crops_few_seed0',
        'transkd-base_mine_mit-b2_crops_few_seed0',
        'dml_mine_lite0_crops_few_seed0',
    ]
    kl = next(cell for cell in cells if cell.name.startswith('kl'))
    assert kl.config == 'work_dirs/suite/configs/kl_mine_mit-b2_crops_few.py' and not Path(kl.config).exists()
    assert kl.load().model.teacher.checkpoint == 'work_dirs/suite/teacher_mit-b2_crops_few_seed0/iter_300.pth'
    own = kl.load()
    kl.write()
    assert told(load_config(kl.config, kl.settings())) == told(own), 'what was written makes the run again'
    # the same suite of files has the same cells: nothing that was trained is trained again
    for name in ('alone_mine_crops_few', 'alone_mit-b2_crops_few', 'kl_mine_mit-b2_crops_few'):
        cfg = compose(**names_in(f'configs/x/{name}.py'), path=f'files/{name}.py')
        write_composed(cfg)
    (project / 'suite.py').write_text(
        "teachers = {'mit-b2': dict(config='files/alone_mit-b2_crops_few.py')}\n"
        "runs = [dict(method='alone', student='mine', config='files/alone_mine_crops_few.py', seeds=[0, 1]),\n"
        "        dict(method='KL', student='mine', teacher='mit-b2', config='files/kl_mine_mit-b2_crops_few.py', seeds=[0])]\n"
    )
    assert [(c.name, c.fingerprint) for c in read_suite('suite.py')[1]] == [(c.name, c.fingerprint) for c in cells[:4]]


@pytest.mark.parametrize(
    'run, sentence',
    [
        ("method='KL', student='mine', seeds=[0]", "run 1 has no 'config'; add it"),
        ("method='KL', student='mine', seeds=[0], config='x.py', protocol='crops'", 'run 1 has both config and protocol'),
        ("method='alone', student='mine', seeds=[0], protocol='crops'", "run 1 has protocol 'crops' without data; name the data too"),
        ("method='alone', student='mine', seeds=[0], protocol='crops', data='fex'", "alone of mine: Data 'fex' is not among .* nearest: 'few'"),
        ("method='KLL', student='mine', seeds=[0], protocol='crops', data='few'", "KLL of mine: Method 'KLL' is not registered"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_suite_of_parts(project, run, sentence):
    (project / 'suite.py').write_text(f'runs = [dict({run})]')
    with pytest.raises(UserError, match=sentence):
        read_suite('suite.py')
