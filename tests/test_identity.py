"""What a run is an experiment of, what its baseline is, and what is said where two configs differ."""

import copy
import shutil

import pytest
import torch
from helpers import ROOT
from helpers.configs import config
from helpers.networks import build, distiller, peers, segmentor
from mmengine.config import Config

from vkd import UserError
from vkd.build.config import load_config
from vkd.build.identity import (
    baseline_config,
    baseline_fingerprint,
    differences,
    experiment,
    fingerprint,
    read_written_config,
    told_difference,
    told_names,
)
from vkd.evaluation.scores import MIOU
from vkd.io.files import read_json, write_json
from vkd.leaderboard import build as build_tables
from vkd.leaderboard.gains import benefit
from vkd.leaderboard.reading import read_baselines, read_runs
from vkd.leaderboard.rows import table
from vkd.leaderboard.verify import verify
from vkd.runs.run import run

SHIPPED = sorted(p for p in (ROOT / 'configs').glob('*/*.py') if p.parent.name not in ('_base_', 'suites'))
#: representation learning, which has no task and so no student alone to be compared with; and networks tested by others' stages
NO_BASELINE = {
    *(
        f'chimeraseg_segnext-b-csh_clip-b16_st{n}k_{d}'
        for n, d in ((10, 'voc20-zs-512x512'), (20, 'context59-zs-480x480'), (40, 'coco-stuff-zs-512x512'))
    ),
    *(p.stem for p in SHIPPED if '_stage1' in p.stem or '_foundation_' in p.stem),
}


@pytest.fixture(scope='module')
def shipped():
    """``{path: (names, baseline)}`` of all shipped configs."""
    out = {}
    for path in SHIPPED:
        cfg = load_config(path)
        out[path] = experiment(cfg), baseline_config(cfg)
    return out


# -- names -----------------------------------------------------------------------------------------------------------------
def test_shipped_configs_name_their_parts_themselves(shipped):
    for path, (names, _) in shipped.items():
        assert names['named_by'] is None, (path.name, told_names(names))
        parts = path.stem.split('_')  # the habit, kept
        assert (names['student'], names['data']) == (parts[1], parts[-1]) and names['protocol'] == parts[-2], path.name
        assert names['method'] == 'alone' or names['teacher'] == parts[2], path.name


def test_a_file_name_is_a_guess_that_is_told(tmp_path):
    cfg = config(distiller(dict(type='KL')), tmp_path / 'kl_small_large_quick_noise')
    names = experiment(cfg)
    assert names['student'] == 'small' and names['named_by'] == ['student', 'teacher', 'protocol', 'data']
    assert "student 'small'" in told_names(names) and 'student_name = …' in told_names(names)
    own = Config(
        dict(cfg.to_dict(), student_name='mine', teacher_name='large', protocol_name='six', data_name='noise'), filename=cfg.filename
    )
    names = experiment(own)
    assert [names[k] for k in ('student', 'teacher', 'protocol', 'data', 'named_by')] == ['mine', 'large', 'six', 'noise', None]
    assert told_names(names) is None and fingerprint(own) == fingerprint(cfg), 'a name changes no experiment'
    with pytest.raises(UserError, match='student_name is 3; give a text'):
        experiment(Config(dict(cfg.to_dict(), student_name=3), filename=cfg.filename))


def test_a_file_of_another_name_says_nothing_and_equal_networks_still_meet(tmp_path):
    """Read by their number of words, these were mit-b5 on cityscapes, and a student "kl" of a teacher "test"."""
    found = {}
    for name, methods in (('edge_mit-b5_wide_quick_cityscapes', ['KL']), ('my_kl_test_run_1', ['KL']), ('mine', [])):
        cfg = config(distiller(*(dict(type=m) for m in methods)), tmp_path / name)
        found[name] = experiment(cfg)
        assert found[name]['named_by'] is None and found[name]['data'] == 'DemoDataset' and found[name]['protocol'] == 'unnamed'
    assert len({names['student'] for names in found.values()}) == 1 and found['mine']['student'].startswith('MixVisionTransformer-')
    assert found['my_kl_test_run_1']['teacher'].startswith('MixVisionTransformer-') and found['mine']['teacher'] is None
    wider = experiment(config(distiller(student=segmentor(16)), tmp_path / 'mine_too'))
    assert wider['student'] not in {names['student'] for names in found.values()}, 'another network has another name'


# -- baselines -------------------------------------------------------------------------------------------------------------
def test_every_shipped_method_has_its_student_alone(shipped):
    alone = {}
    for names, content in shipped.values():
        if names['method'] == 'alone':
            alone.setdefault(tuple(names[k] for k in ('student', 'protocol', 'data')), []).append(content)
    for path, (names, content) in shipped.items():
        if names['method'] == 'alone' or path.stem in NO_BASELINE:
            continue
        bases = alone[tuple(names[k] for k in ('student', 'protocol', 'data'))]
        found = min((list(differences(content, base)) for base in bases), key=len)
        assert not found, (path.name, [told_difference(*d) for d in found])


def test_what_does_not_count(tmp_path):
    one = config(distiller(), tmp_path / 'a', randomness=dict(seed=0)).to_dict()
    two = copy.deepcopy(config(distiller(dict(type='KL')), tmp_path / 'b', randomness=dict(seed=5), work_dir='elsewhere').to_dict())
    two['model'].update(task_weight=0.5, probe_shape=(3, 32, 32))
    two['train_dataloader'].update(num_workers=4, persistent_workers=True)
    two['student_name'] = 'other'
    for part in ('train', 'val', 'test'):
        one[f'{part}_dataloader']['dataset']['data_root'] = '/here/data/scenes'
        two[f'{part}_dataloader']['dataset']['data_root'] = '/there/scenes'
    assert list(differences(baseline_config(one), baseline_config(two))) == []
    assert baseline_fingerprint(baseline_config(one)) == baseline_fingerprint(baseline_config(two))


@pytest.mark.parametrize(
    'change, path',
    [
        (lambda c: c['optim_wrapper']['optimizer'].update(lr=0.5), 'optim_wrapper.optimizer.lr'),
        (lambda c: c['train_cfg'].update(max_iters=7), 'train_cfg.max_iters'),
        (lambda c: c['train_dataloader'].update(batch_size=3), 'train_dataloader.batch_size'),
        (lambda c: c['model']['student']['backbone'].update(embed_dims=16), 'model.student.network.backbone.embed_dims'),
        (lambda c: c['model']['student'].update(checkpoint='a/b.pth'), 'model.student.checkpoint'),
        (lambda c: c.update(load_from='a/b.pth'), 'load_from'),
        (lambda c: c.update(custom_hooks=[dict(type='EMAHook')]), 'custom_hooks'),
        (lambda c: c['test_dataloader']['dataset'].update(split='other'), 'test_dataloader.dataset.split'),
    ],
)
def test_what_counts(tmp_path, change, path):
    cfg = config(distiller(), tmp_path / 'a').to_dict()
    other = copy.deepcopy(cfg)
    change(other)
    assert path in [where for where, *_ in differences(baseline_config(other), baseline_config(cfg))]


def test_an_optimizer_for_each_role_is_reduced_to_the_students(tmp_path):
    cfg = config(distiller(), tmp_path / 'a').to_dict()
    sgd = dict(optimizer=dict(type='SGD', lr=0.1))
    cfg['optim_wrapper'], cfg['param_scheduler'] = dict(type='OptimWrapper', **sgd), [dict(type='ConstantLR', factor=0.5)]
    both = copy.deepcopy(config(peers(dict(type='DML')), tmp_path / 'b').to_dict())
    both['optim_wrapper'] = dict(
        constructor='vkd.PerRole', student=sgd, vit=dict(optimizer=dict(type='AdamW', lr=1e-4)), accumulative_counts=1
    )
    both['param_scheduler'] = dict(student=cfg['param_scheduler'], vit=[dict(type='PolyLR')])
    assert list(differences(baseline_config(both), baseline_config(cfg))) == []
    assert baseline_config(both, role='vit')['optim_wrapper']['optimizer'] == dict(lr=1e-4, type='AdamW')
    assert baseline_config(both, role='vit')['model']['student']['network']['backbone']['embed_dims'] == 16
    both['optim_wrapper']['student'] = dict(optimizer=dict(type='SGD', lr=0.2))
    assert [d[0] for d in differences(baseline_config(both), baseline_config(cfg))] == ['optim_wrapper.optimizer.lr']


def test_what_a_student_starts_from_counts_by_content(tmp_path):
    cfgs = []
    for seed in (1, 2):
        torch.save(dict(state_dict=build(segmentor(8), seed=seed).state_dict()), tmp_path / f'seed{seed}.pth')
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        file = shutil.copy(tmp_path / f'seed{seed}.pth', tmp_path / f'{name}.pth')
        cfgs.append(config(distiller(student=dict(model=segmentor(8), checkpoint=str(file))), tmp_path / name, iters=2, interval=2))
    found = [vkd_facts(cfg, tmp_path)['baseline'] for cfg in cfgs]
    assert found[0] == found[1] != found[2]


def vkd_facts(cfg, folder):
    from vkd.runs.run import facts_of

    return facts_of(cfg, folder, {}, 'identity')[0]


def test_a_written_config_is_read_without_running_it(tmp_path):
    cfg = config(distiller(dict(type='KL')), tmp_path / 'a')
    read = read_written_config(cfg.pretty_text)
    assert list(differences(baseline_config(read), baseline_config(cfg))) == []
    for text in (
        'import os\nx = 1\n',
        f'open({str(tmp_path / "x")!r}, "w")\n',
        'a = open("x")\n',
        'a = dict(\n',
        'a = [i for i in (1, 2)]\n',
    ):
        assert read_written_config(text) is None
    assert not (tmp_path / 'x').exists()


# -- comparisons -----------------------------------------------------------------------------------------------------------
def suite_of(folder, students=(8, 8), rates=(1e-3, 1e-3), seeds=(0, 1, 2)):
    """Runs of the student alone and of KL, each with its own width and learning rate, under names that agree."""
    for name, width, rate, methods in zip(
        ('alone_small_quick_noise', 'kl_small_big_quick_noise'), students, rates, ((), (dict(type='KL', loss_weight=1e-9),)), strict=True
    ):
        for seed in seeds:
            cfg = config(
                distiller(*methods, student=segmentor(width)), folder / 'cfg' / name, iters=2, interval=2, randomness=dict(seed=seed)
            )
            cfg.optim_wrapper.optimizer.lr = rate
            run(cfg, folder / 'runs' / f'{name}_{seed}')
    return folder / 'runs'


def gain_of(folder):
    runs, _ = read_runs(folder)
    baselines = read_baselines(runs)
    return next(row.gain for row in table(runs, MIOU, baselines=baselines).rows if row.compared)


def test_another_network_and_another_optimizer_are_no_baseline(tmp_path):
    """The gain that named comparison called better than alone, and that ``verify`` approved."""
    folder = suite_of(tmp_path, students=(8, 16), rates=(1e-6, 5e-3))
    gain = gain_of(folder)
    assert gain.value is None and gain.withheld.startswith('its config differs from that of the student alone in more than the method')
    assert 'backbone.embed_dims: 16 here, 8 alone' in gain.withheld and 'and 3 more' in gain.withheld
    paths = build_tables(folder)
    assert verify(folder) == [] and verify(folder, folder) == []
    assert 'withheld: its config differs' in open(paths['md'], encoding='utf-8').read()
    # a forged baseline is found out by the digests, and by the folders
    own = next(folder.glob('kl*_0/baselines.json'))
    content = read_json(own)
    (content_of_run,) = content.values()
    content_of_run['optim_wrapper']['optimizer']['lr'] = 1e-6
    write_json(own, content)
    assert gain_of(folder).value is None, 'a config that does not fit its fingerprint is none'


def test_equal_configs_are_compared_and_old_runs_are_worked_out_again(tmp_path):
    folder = suite_of(tmp_path)
    gain = gain_of(folder)
    assert gain.withheld is None and gain.by == 'config' and gain.baseline == 3
    assert benefit(gain, MIOU) == 0, 'a weight of 1e-9 does nothing'
    for own in folder.glob('*/run.json'):  # as an older version left them
        facts = read_json(own)
        write_json(own, {k: v for k, v in dict(facts, format=1).items() if k not in ('baseline', 'named_by')})
        (own.parent / 'baselines.json').unlink()
        resealed(own.parent)
    again = gain_of(folder)
    assert again.by == 'config' and (again.value, again.half) == (gain.value, gain.half)
    for own in folder.glob('*/config.py'):
        own.unlink()
    assert gain_of(folder).by == 'name'


def resealed(folder):
    from helpers.run_folders import signed

    signed(folder)


def test_a_difference_that_is_the_methods_own_is_declared_and_shown(tmp_path):
    folder = suite_of(tmp_path, students=(8, 8))
    for own in folder.glob('kl*/run.json'):
        facts = read_json(own)
        (content,) = read_json(own.parent / 'baselines.json').values()
        content['model']['student']['network']['backbone']['frozen'] = True
        content['optim_wrapper']['optimizer']['lr'] = 0.5
        print_ = baseline_fingerprint(content)
        write_json(own.parent / 'baselines.json', {print_: content})
        write_json(own, dict(facts, baseline=print_, part_of_method=['model.student.backbone.frozen', 'optim_wrapper']))
        resealed(own.parent)
    told = gain_of(folder).withheld
    assert 'lr: 0.5 here' in told and 'frozen' not in told, 'an optimizer is never the method'
    for own in folder.glob('kl*/run.json'):
        facts = read_json(own)
        (content,) = read_json(own.parent / 'baselines.json').values()
        content['optim_wrapper']['optimizer']['lr'] = 1e-3
        print_ = baseline_fingerprint(content)
        write_json(own.parent / 'baselines.json', {print_: content})
        write_json(own, dict(facts, baseline=print_))
        resealed(own.parent)
    gain = gain_of(folder)
    assert gain.value is not None and gain.allowed == ['model.student.network.backbone.frozen: true here, (absent) alone']
    text = open(build_tables(folder)['md'], encoding='utf-8').read()
    assert "the method's own: model.student.network.backbone.frozen" in text


def test_other_images_are_no_baseline(tmp_path):
    folder = suite_of(tmp_path)
    for own in folder.glob('kl*/metrics.json'):
        metrics = read_json(own)
        write_json(own, dict(metrics, data_sha256=dict(metrics['data_sha256'], train='0' * 64)))
        resealed(own.parent)
    assert 'training images are others' in gain_of(folder).withheld
