"""Restorers under the Distiller: the losses between images, and the contracts of tests/test_contracts.py for networks that restore."""

import pytest
import torch
from helpers import ROOT
from helpers.batches import image_batch, losses, total
from helpers.networks import build, restorer
from helpers.processes import check_steps, distributed, in_two_processes, killed_and_resumed, step_of
from helpers.restoration import LAST, METHODS, config, distiller
from helpers.restored import evaluated
from mmengine.optim import OptimWrapper

from vkd import UserError
from vkd.build.config import load_config
from vkd.methods.fakd import affinity, spatial_affinity_loss
from vkd.methods.feature import mse_loss
from vkd.methods.output import l1_output_loss
from vkd.methods.wavelet import WaveletKD, haar, wavelet_loss

each_method = pytest.mark.parametrize('name', METHODS)


# -- the losses --------------------------------------------------------------------------------------------------------
def test_output_losses_by_hand():
    a, b = torch.zeros(1, 3, 2, 2, requires_grad=True), torch.full((1, 3, 2, 2), 0.5)
    assert l1_output_loss(a, b).item() == 0.5 and mse_loss(a, b).item() == 0.25


def test_affinity_by_hand():
    x = torch.tensor([[[3.0, 0]], [[4, 2]]])  # vectors (3, 4) and (0, 2)
    torch.testing.assert_close(affinity(x), torch.tensor([[1, 0.8], [0.8, 1]]), atol=1e-6, rtol=0)
    torch.manual_seed(0)
    s, t = torch.randn(2, 5, 3, 4, requires_grad=True), torch.randn(2, 7, 3, 4)
    wanted = (
        sum(
            (
                torch.nn.functional.cosine_similarity(a.flatten(1).T[:, None], a.flatten(1).T[None], dim=2)
                - torch.nn.functional.cosine_similarity(b.flatten(1).T[:, None], b.flatten(1).T[None], dim=2)
            )
            .abs()
            .mean()
            for a, b in zip(s, t, strict=False)
        )
        / 2
    )
    found = spatial_affinity_loss(s, t)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    own, theirs = torch.autograd.grad(found, s)[0], torch.autograd.grad(wanted, s)[0]
    torch.testing.assert_close(own, theirs, atol=1e-6, rtol=1e-4)
    assert spatial_affinity_loss(s, 3 * s).item() < 1e-6
    assert (
        torch.autograd.grad(spatial_affinity_loss(z := torch.zeros(1, 2, 2, 2, requires_grad=True), t[:1, :, :2, :2]), z)[0]
        .isfinite()
        .all()
    )


def test_haar_by_hand():
    low, high = haar(torch.tensor([[1.0, 2], [3, 5]]).view(1, 1, 2, 2))
    assert low.item() == 5.5 and high.flatten().tolist() == [-1.5, -2.5, 0.5]
    x = torch.randn(2, 3, 8, 6)
    low, high = haar(x)
    assert low.shape == (2, 3, 4, 3) and high.shape == (2, 3, 3, 4, 3)
    torch.testing.assert_close(low.square().sum() + high.square().sum(), x.square().sum())  # orthonormal
    assert haar(torch.ones(1, 1, 5, 7))[1].abs().max() == 0


def test_wavelet_loss_sees_detail_only():
    x = torch.rand(1, 3, 16, 16)
    assert wavelet_loss(x, x + 0.25).item() < 1e-6 and wavelet_loss(x, x.flip(3)).item() > 0.1
    board = torch.tensor([[1.0, -1], [-1, 1]]).repeat(8, 8).view(1, 1, 16, 16)
    assert wavelet_loss(board, 0 * board).item() == pytest.approx(2 / 3)  # one of three bands of the first level
    assert wavelet_loss(board, 0 * board, levels=1).item() == pytest.approx(2 / 3)


def test_the_published_recipe_of_waveletkd_has_four_levels():
    """Squares of 8x8 have their detail at the fourth level alone: 16 in one of three bands."""
    board = torch.tensor([[1.0, -1], [-1, 1]]).view(1, 1, 2, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    assert wavelet_loss(board, 0 * board, levels=3).item() == 0
    assert wavelet_loss(board, 0 * board).item() == pytest.approx(16 / 3)
    assert WaveletKD().levels == 4
    levels = {file.stem: load_config(file).model.methods[0].get('levels') for file in (ROOT / 'configs/waveletkd').glob('*.py')}
    committed = 'waveletkd_imdn-half_edsr-baseline_quick_t91-bsds-x4'  # whose results are in docs/leaderboard
    assert levels.pop(committed) == 3 and set(levels.values()) == {None}


@pytest.mark.parametrize(
    'method, teacher, text',
    [
        (
            dict(type='OutputKD'),
            restorer('EDSR', scale=4),
            r"student tap 'backbone' gives 3x128x128 and teacher tap 'backbone' 3x256x256 for one input; give networks of the same scale",
        ),
        (dict(type='WaveletKD'), restorer('EDSR', scale=3), 'give networks of the same scale'),
        (dict(type='OutputKD', loss='l3'), restorer('EDSR'), "loss 'l3' is unknown"),
        (
            dict(type='FAKD', student=['backbone.body.0'], teacher=['backbone.body.0', 'backbone.body.1']),
            restorer('EDSR'),
            '1 student taps face 2',
        ),
        (dict(type='FeatureKD', student='backbone.body.7', teacher='backbone.body.0'), restorer('EDSR'), 'nearest'),
        (dict(type='FeatureKD', student='backbone.body', teacher='backbone.body.0'), restorer('EDSR'), 'container that never runs'),
    ],
)
def test_bad_wiring(method, teacher, text):
    with pytest.raises(UserError, match=text):
        build(dict(type='vkd.Distiller', student=restorer(), teacher=teacher, methods=[method]))


# -- the contracts -----------------------------------------------------------------------------------------------------
@each_method
def test_1_state_holds_the_student_and_no_frozen_teacher(name):
    model = build(distiller(name))
    state = model.state_dict()
    assert {k.split('.')[0] for k in state} <= {'student', 'methods'}
    build(distiller(name), seed=1).load_state_dict(state, strict=True)
    plain = build(restorer(), seed=2)
    plain.load_state_dict({k.removeprefix('student.'): v for k, v in state.items() if k.startswith('student.')}, strict=True)
    image = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        assert torch.equal(plain.eval()(image, mode='predict')[0].pred_img, model.eval()(image, mode='predict')[0].pred_img)


@each_method
def test_2_a_method_leaves_the_student_and_its_own_loss_alone(name):
    plain, bare, wrapped = build(restorer()), build(distiller()), build(distiller(name))
    assert all(
        torch.equal(a, b) and torch.equal(a, c)
        for a, b, c in zip(
            plain.state_dict().values(), bare.student.state_dict().values(), wrapped.student.state_dict().values(), strict=False
        )
    )
    a, b, c = (losses(m, image_batch()) for m in (plain, bare, wrapped))
    assert (
        a.keys() == b.keys()
        and torch.equal(a['loss_pixel'], b['loss_pixel'])
        and torch.equal(a['loss_pixel'], c['loss_pixel'])
        and len(c) == 2
    )
    for m, own in ((plain, a), (bare, b)):
        m.parse_losses(own)[0].backward()
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(plain.parameters(), bare.student.parameters(), strict=False))


@each_method
def test_3_a_frozen_teacher_is_unchanged_and_5_all_else_learns(name):
    model = build(distiller(name))
    teacher = model.teachers['teacher']
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    total(model, image_batch()).backward()
    assert not {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None}
    wrapper = OptimWrapper(torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2))
    for i in range(10):
        model.train_step(image_batch(seed=i), wrapper)
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items()) and all(p.grad is None for p in teacher.parameters())
    image, role = torch.rand(2, 3, 16, 24), model.roles['teacher']
    first, second = (model.teach(role, image, None)[1] for _ in range(2))
    assert first and all(torch.equal(first[k], second[k]) for k in first)


@each_method
def test_6_bf16_channels_last_and_activation_checkpointing(name):
    def loss_and_gradient(model, context=torch.autocast('cpu', enabled=False)):
        torch.manual_seed(7)
        with context:
            loss = total(model, image_batch())
        loss.backward()
        return loss.item(), torch.cat([p.grad.flatten().float() for p in model.student.parameters()])

    loss, gradient = loss_and_gradient(build(distiller(name)))
    for other in (
        build(distiller(name)).to(memory_format=torch.channels_last),
        build(distiller(name, student=restorer(checkpointing=True))),
    ):
        own, grad = loss_and_gradient(other)
        assert own == pytest.approx(loss, rel=1e-4)
        torch.testing.assert_close(grad, gradient, rtol=1e-2, atol=1e-3 * gradient.abs().max().item())
    half, grad = loss_and_gradient(build(distiller(name)), torch.autocast('cpu', torch.bfloat16))
    assert half == pytest.approx(loss, rel=0.05) and torch.nn.functional.cosine_similarity(grad, gradient, dim=0) > 0.9


def one_step(wrap=lambda model: model):
    found = {}
    for name in METHODS:
        model = wrap(build(distiller(name)))
        wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1))
        torch.manual_seed(7)
        found[name] = step_of(model, image_batch(4), wrapper)
    return found


def in_group():
    return one_step(distributed), evaluated(2), evaluated(2, 6)[0]


@pytest.mark.slow
def test_6_two_processes_give_the_loss_and_the_scores_of_one(tmp_path):
    wanted, scores = one_step(), evaluated(1)
    ranks = in_two_processes(in_group, tmp_path)
    for name in METHODS:  # MGD draws a mask for each image, which is another in a half than in the whole
        check_steps(ranks[0][0][name], ranks[1][0][name], None if name == 'MGD' else wanted[name])
    for _, own, refused in ranks.values():
        assert own == scores and list(own[1]['sets']) == ['Set5', 'Set14'] and 'saw 5 images of a set of 6' in refused


@pytest.mark.slow
@pytest.mark.parametrize('ema', [False, True])
def test_7_killed_and_resumed_it_ends_in_the_same_weights(ema, tmp_path):
    def cfg(folder):
        teacher = dict(model=restorer(), ema=True, momentum=0.9) if ema else None
        return config(dict(distiller('OutputKD', teacher=teacher), methods=[METHODS['OutputKD'], METHODS['FitNet']]), tmp_path / folder)

    whole, again = killed_and_resumed(cfg, tmp_path, 3)
    assert again.iter == 4
    report = whole.val_loop.evaluator.metrics[0].report
    assert report == again.val_loop.evaluator.metrics[0].report and report['images'] == 3 and 5 < report['PSNR'] < 40


def test_an_ema_teacher_of_oneself():
    model = build(
        dict(
            type='vkd.Distiller',
            student=restorer(),
            teacher=dict(model=restorer(), ema=True, momentum=0.9),
            methods=[dict(type='OutputKD')],
        )
    )
    teacher, first = model.teachers['teacher'].backbone.conv_first.weight, model.student.backbone.conv_first.weight.detach().clone()
    assert (
        torch.equal(teacher, first)
        and losses(model, image_batch())['loss_output'] == 0
        and any(k.startswith('teacher.') for k in model.state_dict())
    )
    wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1))
    model.train_step(image_batch(), wrapper)
    now = model.student.backbone.conv_first.weight.detach().clone()
    assert losses(model, image_batch())['loss_output'] > 0
    torch.testing.assert_close(teacher, 0.9 * first + 0.1 * now)


@pytest.mark.parametrize('student', ['IMDN', 'RFDN', 'IMDN_RTC'])
@pytest.mark.parametrize('teacher', ['EDSR', 'RCAN'])
def test_pairs_of_networks(student, teacher):
    """Networks that work on different ranges inside are compared on one."""
    methods = [
        dict(type='OutputKD'),
        dict(type='FeatureKD', student='backbone.conv_after_body', teacher='backbone.conv_after_body', normalize=True),
        dict(type='FAKD', **LAST),
    ]
    model = build(dict(type='vkd.Distiller', student=restorer(student), teacher=restorer(teacher), methods=methods))
    own = losses(model, image_batch())
    assert (
        set(own) == {'loss_pixel', 'loss_output', 'loss_mse', 'loss_affinity'}
        and all(v.isfinite() for v in own.values())
        and own['loss_output'] < 3
    )
    model.parse_losses(own)[0].backward()
    assert all(p.grad is not None for p in model.student.parameters())
