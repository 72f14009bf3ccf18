import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from vkd import METHODS, Method
from vkd.build import built
from vkd.check.checking import check
from vkd.commands.line import command
from vkd.io.console import duration
from vkd.io.files import read_json

TOOLS = Path(__file__).parent.parent / 'tools'


def segmentor(width, classes=3):
    return dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=dict(type='mmseg.SegDataPreProcessor', mean=[127.5] * 3, std=[127.5] * 3, size_divisor=32),
        backbone=dict(type='mmseg.MixVisionTransformer', embed_dims=width, num_layers=[1] * 4, num_heads=[1] * 4),
        decode_head=dict(
            type='mmseg.SegformerHead',
            in_channels=[width] * 4,
            in_index=[0, 1, 2, 3],
            channels=8,
            num_classes=classes,
            dropout_ratio=0.1,
            norm_cfg=dict(type='BN'),
            align_corners=False,
        ),
        test_cfg=dict(mode='whole'),
    )


@pytest.fixture
def config(tmp_path):
    """A config over five images of 48x64 with three classes, written to files."""
    random = np.random.default_rng(0)
    for i in range(5):
        for folder, shape, high in (('images', (48, 64, 3), 256), ('labels', (48, 64), 3)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(random.integers(0, high, shape, dtype=np.uint8)).save(tmp_path / folder / f'{i}.png')
    load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
    data = dict(
        type='BaseSegDataset',
        data_root=str(tmp_path),
        img_suffix='.png',
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        metainfo=dict(classes=['a', 'b', 'c'], palette=[[0] * 3, [1] * 3, [2] * 3]),
        pipeline=load,
    )
    valid = dict(batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False), dataset=data)
    model = dict(
        type='vkd.Distiller',
        student=segmentor(8),
        teacher=dict(model=segmentor(16), checkpoint=str(tmp_path / 'teacher.pth')),
        methods=[dict(type='KL'), dict(type='FitNet', student='backbone[3]', teacher='backbone[3]')],
    )
    from vkd.build.networks import build_model

    torch.save(dict(state_dict=build_model(segmentor(16)).state_dict()), tmp_path / 'teacher.pth')
    cfg = Config(
        dict(
            default_scope='mmseg',
            custom_imports=dict(imports=['vkd']),
            model=model,
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=1000, val_interval=100),
            val_cfg=dict(type='ValLoop'),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)),
            train_dataloader=dict(
                batch_size=2, num_workers=2, persistent_workers=True, sampler=dict(type='InfiniteSampler', shuffle=True), dataset=data
            ),
            val_dataloader=valid,
            val_evaluator=dict(type='vkd.SegMetric'),
            **{f'{part}_name': 'own' for part in ('student', 'teacher', 'protocol', 'data')},
        )
    )
    cfg.dump(tmp_path / 'config.py')
    return cfg


def test_a_sound_config(config):
    report = check(config, 'cpu')
    assert report['errors'] == [] and report['warnings'] == []
    assert report['data']['train_dataloader'] | dict(seconds=0) == dict(
        dataset='BaseSegDataset',
        root=config.train_dataloader.dataset.data_root,
        images=5,
        batch=2,
        shape=[3, 48, 64],
        classes=3,
        workers=2,
        seconds=0,
    )
    # the preprocessor pads 48x64 to 64x64: a quarter of that for the logits, a 32nd for the last stage
    assert [(r['student_shape'], r['teacher_shape']) for r in report['taps']] == [
        ([2, 3, 16, 16], [2, 3, 16, 16]),
        ([2, 8, 2, 2], [2, 16, 2, 2]),
    ]
    assert report['teachers'][0]['loaded']['share'] == 1 and report['teachers'][0]['trainable'] == 0
    assert report['parameters']['methods.1 (FitNet)'] == dict(trainable=8 * 16 + 16, total=8 * 16 + 16)
    rows = {r['term']: r for r in report['losses']}
    assert set(rows) == {'decode.loss_ce', 'loss_kl', 'loss_mse'} and all(r['gradient'] > 0 for r in rows.values())
    assert (
        report['no_gradient'] == []
        and report['step']['memory_mib'] > 0
        and set(report['step']['parts']) == {'data', 'student', 'teacher', 'loss'}
    )
    assert report['run']['iterations'] == 1000 and report['run']['validations'] == 10
    assert report['run']['seconds'] == pytest.approx(report['run']['train_seconds'] + report['run']['val_seconds'], abs=0.1)


def test_gradient_of_a_term_by_hand(config):

    config.model.methods = [dict(type='KL', loss_weight=10.0)]
    for key in ('student', 'teacher'):
        (config.model[key].get('model') or config.model[key]).decode_head.dropout_ratio = 0.0
        (config.model[key].get('model') or config.model[key]).backbone.drop_path_rate = 0.0
    row = check(config, 'cpu')['losses'][-1]
    torch.manual_seed(0)
    from mmengine.runner import set_random_seed

    set_random_seed(0)
    batch = _first_batch(config)
    model = built.build(config)
    loss = model(**model.data_preprocessor(batch, True), mode='loss')['loss_kl']
    grads = torch.autograd.grad(loss, list(model.student.parameters()), allow_unused=True)
    assert row['value'] == pytest.approx(loss.item(), rel=1e-4)
    assert row['gradient'] == pytest.approx(sum(g.pow(2).sum() for g in grads if g is not None).sqrt().item(), rel=1e-3)


def _first_batch(config):

    for key in ('train_dataloader', 'val_dataloader'):  # check reads them in this order before it builds the model
        loader = built.build_loader(config, key)
        if key == 'train_dataloader':
            sampler = iter(loader.sampler)
            batch = loader.collate_fn([loader.dataset[next(sampler)] for _ in range(2)])
    return batch


def break_tap(cfg, path):
    cfg.model.methods[0].student = 'decode_head.conv_sg'
    return "'decode_head.conv_sg'"


def break_teacher(cfg, path):
    cfg.model.teacher.model.decode_head.channels = 12
    return 'teacher.pth'


def break_root(cfg, path):
    cfg.train_dataloader.dataset.data_root = 'nowhere'
    return 'nowhere'


def break_label(cfg, path):
    Image.fromarray(np.full((48, 64), 7, np.uint8)).save(path / 'labels/0.png')
    return '0.png'


def break_size(cfg, path):
    Image.fromarray(np.zeros((40, 64), np.uint8)).save(path / 'labels/0.png')
    return '0.png'


def break_image(cfg, path):
    (path / 'images/0.png').write_bytes(b'no picture')
    return '0.png'


def lose_label(cfg, path):
    (path / 'labels/3.png').unlink()
    return '3.png'


def empty(cfg, path):
    cfg.val_dataloader.dataset.img_suffix = '.jpg'
    return 'empty'


def break_classes(cfg, path):
    cfg.model.student.decode_head.num_classes = cfg.model.teacher.model.decode_head.num_classes = 4
    cfg.model.teacher.pop('checkpoint')
    return 'num_classes'


def break_loss(cfg, path):
    cfg.model.methods[1].loss_weight = 1e39
    return "'loss_mse'"


def break_metric(cfg, path):
    cfg.val_evaluator.ignore = 3
    return 'val_dataloader'


@pytest.mark.parametrize(
    'mistake',
    [
        break_tap,
        break_teacher,
        break_root,
        break_label,
        break_size,
        break_image,
        lose_label,
        empty,
        break_classes,
        break_loss,
        break_metric,
    ],
)
def test_one_sentence_an_error(config, tmp_path, mistake):
    named = mistake(config, tmp_path)
    errors = check(config, 'cpu')['errors']
    assert errors and any(named in e for e in errors), errors
    assert all('\n' not in e and e.endswith('.') for e in errors)


def test_a_shared_root_is_told_once(config):
    config.train_dataloader.dataset.data_root = config.val_dataloader.dataset.data_root = 'nowhere'
    config.train_dataloader.dataset.type = config.val_dataloader.dataset.type = 'vkd.CamVidDataset'
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.dataset.pop('data_prefix'), loader.dataset.pop('metainfo')
    errors = check(config, 'cpu')['errors']
    assert len([e for e in errors if 'nowhere' in e]) == 1, errors


def test_independent_errors_are_all_told(config, tmp_path):
    break_tap(config, tmp_path)
    break_root(config, tmp_path)
    empty(config, tmp_path)
    assert len(check(config, 'cpu')['errors']) == 3


def test_a_head_that_learns_nothing_is_named(config):
    config.model.task_weight = 0.0
    config.model.methods = config.model.methods[1:]
    report = check(config, 'cpu')
    assert (
        report['errors'] == [] and any(n.startswith('student.decode_head') for n in report['no_gradient']) and len(report['warnings']) == 1
    )


class Quiet(Method):
    """Logs what a method is, and adds nothing; ``detached``: a loss without gradient."""

    student_taps = teacher_taps = ['decode_head.conv_seg']

    def __init__(self, detached=False):
        super().__init__()
        self.detached = detached

    def forward(self, student, teacher, batch):
        value = student['decode_head.conv_seg'].detach().mean()
        return dict(loss_quiet=value) if self.detached else dict(agreement=value)


def test_a_method_that_adds_nothing_is_an_error_and_each_is_named(config, monkeypatch):
    monkeypatch.setitem(METHODS.module_dict, 'Quiet', Quiet)
    config.model.methods = [dict(type='Quiet'), dict(type='KL'), dict(type='Quiet', detached=True)]
    report = check(config, 'cpu')
    assert len(report['errors']) == 2 and all(e.startswith('Quiet adds nothing to the objective: ') for e in report['errors'])
    assert "returns only 'agreement'" in report['errors'][0] and "no gradient of 'loss_quiet' reaches student" in report['errors'][1]
    assert {'decode.loss_ce', 'loss_kl'} <= {r['term'] for r in report['losses']}  # the rest is told nevertheless


def test_a_plain_model(config):
    config.model = segmentor(8)
    report = check(config, 'cpu')
    assert (
        report['errors'] == []
        and report['taps'] == []
        and report['teachers'] == []
        and [r['term'] for r in report['losses']] == ['decode.loss_ce']
    )


def test_command(config, tmp_path, capsys):
    spec = importlib.util.spec_from_file_location('tools_check', TOOLS / 'check.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert (
        command(tool.main, tool.arguments(), [str(tmp_path / 'config.py'), '--device', 'cpu', '--json', str(tmp_path / 'report.json')])
        is None
    )
    text = capsys.readouterr().out
    assert 'decode_head.conv_seg' in text and '2x16x2x2' in text and 'No errors.' in text and '\x1b' not in text
    assert read_json(tmp_path / 'report.json')['run']['iterations'] == 1000
    with pytest.raises(SystemExit) as stop:
        command(
            tool.main,
            tool.arguments(),
            [str(tmp_path / 'config.py'), '--device', 'cpu', '--cfg-options', 'model.methods.0.student=nothing'],
        )
    assert stop.value.code == 1
    assert next(line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')).count("'nothing'") >= 1
    with pytest.raises(SystemExit) as stop:
        command(tool.main, tool.arguments(), [str(tmp_path / 'missing.py')])
    assert 'missing.py' in str(stop.value.code) and sys.modules.get('tools_check') is None


def test_a_label_in_colours_is_told(config, tmp_path):
    for i in range(5):
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / f'labels/{i}.png')
    errors = check(config)['errors']
    assert errors and all('give images of one channel' in error for error in errors if 'loader' in error), errors


def test_a_teacher_that_nobody_reads_is_told(config):
    config.model.methods = []
    assert any('teacher: no method reads it' in warning for warning in check(config)['warnings'])


def test_every_sample_is_loaded_where_that_is_asked_for(config, tmp_path):
    for name in ('3', '4'):  # beyond the first batch of the test set, which is of one
        label = np.asarray(Image.open(tmp_path / f'labels/{name}.png')).copy()
        label[0, 0] = 77
        Image.fromarray(label).save(tmp_path / f'labels/{name}.png')
    config.train_dataloader.dataset = None
    config.pop('train_dataloader')
    assert not any('77' in error for error in check(config)['errors'])
    (error,) = [e for e in check(config, every_sample=True)['errors'] if e.startswith('2 of 5')]
    assert 'images/3.png' in error and 'images/4.png' in error and 'class 77' in error


@pytest.mark.parametrize(
    'change, told',
    [
        (dict(train_cfg=dict(max_iter=5)), "no option 'max_iter'; nearest: 'max_iters'"),
        (dict(train_cfg=dict(type='IterBasedTrainLop')), 'IterBasedTrainLop'),
        (dict(param_scheduler=[dict(type='PolyLRR')]), 'PolyLRR'),
        (dict(param_scheduler=dict(type='PolyLR', pover=1.0)), 'pover'),
        (dict(model=dict(teacher='large.py')), "teacher is 'large.py'; give dict(cfg="),
    ],
)
def test_what_would_end_training_at_its_start_is_told(config, change, told):
    config.merge_from_dict(change)
    (error,) = check(config)['errors']
    assert told in error and '\n' not in error


def test_duration():
    assert [duration(x) for x in (0.04, 12.34, 250, 11100)] == ['40 ms', '12.3 s', '4 min 10 s', '3 h 05 min']


def test_names_that_come_from_the_file_are_warned_of(config):
    assert check(config, 'cpu')['names'] == dict(
        role='student', method='KL+FitNet', student='own', teacher='own', protocol='own', data='own', named_by=None
    )
    config.student_name = None
    object.__setattr__(config, '_filename', 'kl+fitnet_small_large_quick_noise.py')
    assert any("student 'small' is taken from the config's file name" in w for w in check(config, 'cpu')['warnings'])
