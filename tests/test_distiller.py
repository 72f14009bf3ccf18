import re

import pytest
import torch
from helpers.batches import batch, losses, total
from helpers.networks import build, distiller, segmentor
from mmengine.optim import OptimWrapper
from torch import nn

from vkd import Distiller, UserError
from vkd.build.config import resolve_config
from vkd.distill.roles import Renormalize
from vkd.distill.taps import TapReader, parse_tap

KD = dict(type='KL')


def test_the_teacher_stops_at_its_deepest_tap():
    model = build(distiller(dict(type='FeatureKD', student='backbone[3]', teacher='backbone[3]')))
    ran = []
    model.teachers['teacher'].decode_head.register_forward_hook(lambda *_: ran.append(1))
    losses(model, batch())
    assert not ran
    model = build(distiller(KD))
    model.teachers['teacher'].decode_head.register_forward_hook(lambda *_: ran.append(1))
    model.teachers['teacher'].decode_head.loss_by_feat = None  # a task loss of the teacher would fail
    losses(model, batch())
    assert len(ran) == 0 and model.readers['teacher'].calls == {'decode_head.conv_seg': 1}


@pytest.mark.parametrize(
    'tap, told',
    [
        ('decode_head.conv_sek', "'decode_head.conv_seg'"),
        ('backbone.layers', 'container'),
        ('backbone[7]', '4 items'),
        ('backbone', 'add an index'),
        ('back bone:[', 'form'),
        ('decode_head.loss_decode', 'never ran'),
    ],
)
def test_a_wrong_tap_is_told_when_the_model_is_built(tap, told):
    with pytest.raises(UserError, match='ap .*') as error:
        build(distiller(dict(type='FeatureKD', student=tap, teacher='backbone[3]')))
    assert told in str(error.value) and '\n' not in str(error.value) and repr(tap) in str(error.value)


def test_taps_by_hand():
    assert parse_tap('in:a.b[2]') == (True, 'a.b', 2) and parse_tap('a') == (False, 'a', None)
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    x = torch.ones(1, 2)
    reader = TapReader(net, ['in:1', '1', '2'])
    reader.probe(lambda: net(x))
    result, out = reader.read(lambda: net(x))
    assert torch.equal(out['in:1'], net[0](x)) and torch.equal(out['1'], net[0](x).relu()) and torch.equal(out['2'], result)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    shallow = TapReader(net, ['0'])
    shallow.probe(lambda: net(x))
    assert shallow.read(lambda: net(x), stop=True)[0] is None and not net[0]._forward_hooks


def test_hooks_go_when_the_call_fails():
    net = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(RuntimeError):
        TapReader(net, ['0']).read(lambda: net(torch.ones(1, 3)))
    assert not net[0]._forward_hooks


@pytest.mark.parametrize(
    'cfg, told',
    [
        (distiller(dict(type='KLL')), "'KL'"),
        (distiller(dict(type='KL', of='master')), "'master'"),
        (distiller(dict(type='KL', taus=1)), 'taus'),
        (distiller(KD, teacher=segmentor(16, classes=4)), 'same classes'),
        (distiller(student=dict(segmentor(8), ema=True)), 'belongs to a teacher'),
        (distiller(teacher=dict(model=segmentor(8), chekpoint='x')), "'checkpoint'"),
        (distiller(teacher=dict(checkpoint='x')), 'neither'),
        (distiller(teacher=dict(model=segmentor(8), checkpoint='missing.pth')), 'missing.pth'),
        (distiller(teacher=dict(model=segmentor(8), ema={'backbon': 'backbone'})), "'backbone'"),
        (distiller(dict(tau=1)), "dict(type='KL')"),
        (distiller('KL'), "dict(type='KL')"),
        (distiller(teachers=dict(teacher=dict(model=segmentor(8)))), 'keep one'),
        *(
            (distiller(teacher=None, teachers={name: dict(model=segmentor(8), trainable=True)}), 'cannot be used')
            for name in ('wires', 'tap_shapes', 'readers', 'roles', 'a b')
        ),
        (distiller(teacher=dict(model=segmentor(16), ema=True)), 'tensors differ'),
        (distiller(teacher=dict(cfg='mmseg::segformer/segformer_mit-b9.py')), 'segformer_mit-b'),
    ],
)
def test_a_wrong_config_is_one_sentence(cfg, told):
    with pytest.raises(UserError) as error:
        build(cfg)
    assert told in str(error.value) and '\n' not in str(error.value) and str(error.value).endswith('.')


def test_several_teachers_and_equal_methods():
    cfg = dict(
        type='vkd.Distiller',
        student=segmentor(8),
        teachers=dict(a=segmentor(16), b=segmentor(12)),
        methods=[dict(KD, of='a'), dict(KD, of='b')],
    )
    model = build(cfg)
    own = losses(model, batch())
    assert {'loss_kl', 'loss_kl_1'} <= set(own) and own['loss_kl'] != own['loss_kl_1'] and set(model.teachers) == {'a', 'b'}


def test_a_peer_learns_and_is_kept():
    model = build(distiller(KD, teacher=dict(model=segmentor(16), trainable=True)))
    own = losses(model, batch())
    assert 'teacher.decode.loss_ce' in own
    model.parse_losses(own)[0].backward()
    assert all(p.grad is not None for p in model.teachers['teacher'].parameters()) and any(
        k.startswith('teacher.') for k in model.state_dict()
    )


def test_a_moving_average_follows_each_update_once():
    model = build(distiller(KD, teacher=dict(model=segmentor(8), ema=True, momentum=0.75)))
    teacher, student = model.teachers['teacher'], model.student
    assert all(torch.equal(a, b) for a, b in zip(teacher.state_dict().values(), student.state_dict().values(), strict=False))
    name = 'decode_head.conv_seg.weight'
    start = student.state_dict()[name].clone()
    wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5))
    model.train_step(batch(), wrapper)
    moved = student.state_dict()[name].clone()
    wanted = 0.75 * start + 0.25 * moved
    assert not torch.equal(moved, start)
    torch.testing.assert_close(model.state_dict()[f'teacher.{name}'], wanted)  # saving brings it up to date
    torch.testing.assert_close(model.state_dict()[f'teacher.{name}'], wanted)  # once
    copy = build(distiller(KD, teacher=dict(model=segmentor(8), ema=True, momentum=0.75)), seed=9)
    copy.load_state_dict(model.state_dict())
    torch.testing.assert_close(copy.state_dict()[f'teacher.{name}'], wanted)
    model.train_step(batch(seed=1), wrapper)
    torch.testing.assert_close(model.state_dict()[f'teacher.{name}'], 0.75 * wanted + 0.25 * student.state_dict()[name])
    assert not any(p.requires_grad for p in teacher.parameters())


def test_a_part_may_follow():
    model = build(distiller(KD, teacher=dict(model=segmentor(8), ema={'decode_head': 'decode_head'}, momentum=0.0)))
    wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5))
    before = model.teachers['teacher'].backbone.layers[0][0].projection.weight.clone()
    model.train_step(batch(), wrapper)
    state = model.state_dict()
    assert torch.equal(state['teacher.decode_head.conv_seg.weight'], state['student.decode_head.conv_seg.weight'])
    assert torch.equal(model.teachers['teacher'].backbone.layers[0][0].projection.weight, before)


def test_a_view_by_name_and_a_renormalised_one():
    model = build(
        distiller(dict(type='FeatureKD', student='backbone[3]', teacher='backbone[3]'), teacher=dict(model=segmentor(16), view='teacher'))
    )
    images = dict(student=torch.randn(2, 3, 32, 64), teacher=torch.randn(2, 3, 32, 64))
    samples = model.data_preprocessor(batch(), True)['data_samples']
    same = model.loss(dict(images, teacher=images['student']), samples)['loss_mse']
    assert model.loss(images, samples)['loss_mse'] != same
    with pytest.raises(UserError, match="view 'teacher'"):
        model.loss(dict(student=images['student']), samples)
    pre = build(segmentor(8)).data_preprocessor  # mean 127.5, std 64
    view = Renormalize(pre, [100.0, 50.0, 0.0], [10.0, 20.0, 50.0], size=(16, 16))
    out = view(torch.zeros(1, 3, 32, 32))  # grey 127.5
    assert out.shape == (1, 3, 16, 16) and out[0, :, 8, 8].tolist() == pytest.approx([2.75, 3.875, 2.55], rel=1e-4)


def test_a_teacher_of_another_normalisation_needs_a_view():
    def teacher(**preprocessor):
        cfg = segmentor(16)
        return dict(cfg, data_preprocessor=dict(cfg['data_preprocessor'], **preprocessor))

    other = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
    wanted = 'write view=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]) in the role, or view=dict()'
    with pytest.raises(UserError, match=f'teacher: .* student.*127.5.*{re.escape(wanted)}'):
        build(distiller(KD, teacher=teacher(**other)))
    with pytest.raises(UserError, match=re.escape('std=[64.0, 64.0, 64.0], rgb=False)')):
        build(distiller(KD, teacher=teacher(bgr_to_rgb=False)))
    meant = build(distiller(KD, teacher=dict(model=teacher(**other), view=dict())))
    image = meant.data_preprocessor(batch(), True)['inputs']
    assert torch.equal(meant.roles['teacher'].input(image), image)
    for preprocessor in (other, dict(other, bgr_to_rgb=False)):  # the view is what its own makes of the batch
        view = dict(other, rgb=preprocessor.get('bgr_to_rgb', True))
        model = build(distiller(KD, teacher=dict(model=teacher(**preprocessor), view=view)))
        own = model.teachers['teacher'].data_preprocessor(batch(), True)['inputs']
        torch.testing.assert_close(model.roles['teacher'].input(image), own, rtol=1e-4, atol=1e-4)
    flipped = build(distiller(KD, teacher=dict(model=segmentor(16), view=dict(rgb=False))))
    assert torch.equal(flipped.roles['teacher'].input(image), image.flip(1))


@pytest.mark.parametrize(
    'options, told',
    [
        (dict(view=dict(meen=[0.0] * 3, std=[1.0] * 3)), "teacher: view option 'meen' is unknown; nearest: 'mean'"),
        (dict(view=dict(mean=[0.0] * 3)), 'one of mean and std'),
        (dict(start='studnet'), "start 'studnet' is unknown; nearest: 'student'"),
        (dict(ema=True, momentum=1.5), 'momentum is 1.5; give a share from 0 to 1'),
    ],
)
def test_wrong_options_of_a_role(options, told):
    with pytest.raises(UserError, match=told):
        build(distiller(KD, teacher=dict(model=segmentor(8), **options)))


def test_a_view_undoes_the_normalisation_that_is_in_use():
    """The Distiller's own preprocessor, not the student's: equal statistics on both sides are the identity."""
    own = dict(type='mmseg.SegDataPreProcessor', mean=[100.0, 110.0, 120.0], std=[50.0, 60.0, 70.0], size_divisor=32)
    model = build(distiller(KD, teacher=dict(model=segmentor(8), view=dict(mean=own['mean'], std=own['std'])), data_preprocessor=own))
    image = model.data_preprocessor(batch(), True)['inputs']
    torch.testing.assert_close(model.roles['teacher'].input(image), image, rtol=1e-5, atol=1e-5)


def test_a_network_that_cannot_take_the_probe_says_what_to_give():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 2, 1)

        def forward(self, x):
            assert x.shape[-1] == 224, 'wrong size'
            return self.layer(x)

    with pytest.raises(UserError, match=r'teacher: .*3x64x64 \(AssertionError: wrong size\).*probe_shape'):
        Distiller(nn.Sequential(nn.Conv2d(3, 2, 1)), teacher=Fixed(), methods=[dict(type='FeatureKD', student='0', teacher='layer')])


@pytest.mark.parametrize(
    'cfg, told',
    [
        (distiller(metods=[]), 'metods'),
        (dict(type='vkd.Distiler'), 'Distiler'),
        (distiller(student=dict(segmentor(8), type='mmseg.EncoderDecoderr')), 'EncoderDecoderr'),
    ],
)
def test_a_model_that_does_not_exist_is_one_sentence(cfg, told):
    with pytest.raises(UserError, match=told) as error:
        build(cfg)
    assert '\n' not in str(error.value)


def test_a_student_checkpoint_survives_init_weights(tmp_path):
    source = build(segmentor(8), seed=4)
    torch.save(source.state_dict(), tmp_path / 's.pth')
    model = build(distiller(student=dict(segmentor(8), checkpoint=str(tmp_path / 's.pth'))))
    assert all(torch.equal(a, b) for a, b in zip(model.student.state_dict().values(), source.state_dict().values(), strict=False))


def test_built_modules_are_taken_as_they_are():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x, data_samples=None, mode='tensor'):
            return dict(loss=self.conv(x).mean()) if mode == 'loss' else self.conv(x)

    student, teacher = Net(), Net()
    model = Distiller(student, teacher=teacher, methods=[dict(type='KL', student='conv', teacher='conv')])
    out = model(torch.randn(1, 3, 8, 8), mode='loss')
    assert model.student is student and {'loss', 'loss_kl'} == set(out) and not teacher.conv.weight.requires_grad


def test_progress_is_in_the_batch_and_weights_scale_the_task():
    model, double = build(distiller()), build(distiller(task_weight=2.0))
    assert total(double, batch()).item() == pytest.approx(2 * total(model, batch()).item())


def test_configs_of_mmseg_are_found_without_a_download():
    assert resolve_config('mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py').endswith('160k_ade20k-512x512.py')
    with pytest.raises(UserError, match='not installed'):
        resolve_config('mmnowhere::x.py')


def test_weights_that_cannot_be_fetched_are_one_sentence():
    student = segmentor(8)
    student['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint='no_such_file.pth')
    with pytest.raises(UserError, match='student.*no_such_file.pth.*init_cfg') as error:
        build(distiller(student=student))
    assert '\n' not in str(error.value)
