"""CTCL-R by hand (the toys of its specification), its routing, and bad input."""

import math

import pytest
import torch
from helpers.batches import batch, losses, total
from helpers.errors import fails
from helpers.networks import build, peers, segmentor
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from vkd import METHODS, UserError
from vkd.methods.ctcl import (
    adapter,
    cost_map,
    heterogeneous_feature_loss,
    pixel_selective_loss,
    region_costs,
    region_selective_loss,
    teaches,
)


# -- pixels ----------------------------------------------------------------------------------------------------------------
def pixel_toy():
    ln = math.log
    c = torch.tensor([[ln(3), 0], [0, 0], [ln(4), 0], [0, ln(9)]], dtype=torch.float64)
    v = torch.tensor([[0, ln(3)], [ln(3), 0], [ln(4), 0], [0, 0]], dtype=torch.float64)
    return *(x.t().reshape(1, 2, 1, 4).requires_grad_() for x in (c, v)), torch.tensor([[[0, 0, 1, 255]]])


@pytest.mark.parametrize(
    'tau, wanted, grad_c, grad_v', [(1.0, (0.130812036, 0.549306144), 0.25, 0.5), (2.0, (0.145363131, 0.588744551), 0.267949, 0.535898)]
)
def test_pixel_toy(tau, wanted, grad_c, grad_v):
    c, v, label = pixel_toy()
    cost_c, cost_v, valid = cost_map(c, label), cost_map(v, label), label != 255
    assert cost_c.flatten()[:3].tolist() == pytest.approx([0.287682, 0.693147, 1.609438], abs=1e-6) and cost_v.flatten()[
        :3
    ].tolist() == pytest.approx([1.386294, 0.287682, 1.609438], abs=1e-6)
    to_c, to_v = teaches(cost_c, cost_v, valid), teaches(cost_v, cost_c, valid)
    assert to_c.flatten().tolist() == [False, True, False, False] and to_v.flatten().tolist() == [True, False, False, False]
    log_c, log_v = ((x / tau).log_softmax(1) for x in (c, v))
    own = pixel_selective_loss(log_c, log_v, to_c, tau), pixel_selective_loss(log_v, log_c, to_v, tau)
    assert [x.item() for x in own] == pytest.approx(wanted, abs=1e-7)
    sum(own).backward()
    zero = [0.0, 0.0]
    assert c.grad[0, :, 0].t().flatten().tolist() == pytest.approx([*zero, -grad_c, grad_c, *zero, *zero], abs=1e-6)
    assert v.grad[0, :, 0].t().flatten().tolist() == pytest.approx([-grad_v, grad_v, *zero, *zero, *zero], abs=1e-6)


def test_a_margin_and_a_tie():
    cost = torch.tensor([1.0, 2.0, 3.0])
    valid = torch.tensor([True, True, False])
    assert (
        teaches(cost, cost, valid).sum() == 0
        and teaches(cost, cost - 0.5, valid, 0.4).tolist() == [True, True, False]
        and teaches(cost, cost - 0.5, valid, 0.5).sum() == 0
    )


def test_entropy_looks_at_no_label():
    logits = torch.randn(2, 5, 3, 4)
    wanted = torch.distributions.Categorical(logits=logits.permute(0, 2, 3, 1)).entropy()
    for label in (torch.zeros(2, 3, 4, dtype=torch.long), torch.randint(5, (2, 3, 4))):
        torch.testing.assert_close(cost_map(logits, label, reliability='entropy'), wanted)


# -- regions ---------------------------------------------------------------------------------------------------------------
def test_region_toy():
    c = torch.tensor([[1.0, 1, 4, 4], [1, 1, 4, 4], [2, 2, 9, 9], [2, 6, 9, 9]])[None]
    v = torch.tensor([[2.0, 2, 1, 1], [2, 2, 1, 1], [3, 3, 0, 0], [3, 3, 0, 0]])[None]
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    valid[:, 2:, 2:] = False
    (cost_c, active), (cost_v, _) = region_costs(c, valid, (2, 2)), region_costs(v, valid, (2, 2))
    assert (
        cost_c[active].tolist() == [1, 4, 3]
        and cost_v[active].tolist() == [2, 1, 3]
        and active.flatten().tolist() == [True, True, True, False]
    )
    to_c, to_v = teaches(cost_c, cost_v, active), teaches(cost_v, cost_c, active)
    assert to_c.flatten().tolist() == [False, True, False, False] and to_v.flatten().tolist() == [True, False, False, False]
    f_c = torch.tensor([[[1.0, 0], [1, 1]], [[0.0, 1], [0, 1]]])[None].requires_grad_()
    f_v = torch.tensor([[[0.0, 1], [1, 1]], [[1.0, 1], [1, 0]]])[None].requires_grad_()
    own = region_selective_loss(f_c, f_v, to_c), region_selective_loss(f_v, f_c, to_v)
    assert [x.item() for x in own] == pytest.approx([0.292893219, 1.0], abs=1e-6)
    sum(own).backward()
    wanted_c, wanted_v = torch.zeros_like(f_c), torch.zeros_like(f_v)
    wanted_c[0, 0, 0, 1], wanted_v[0, 0, 0, 0] = -0.707107, -1.0
    torch.testing.assert_close(f_c.grad, wanted_c, atol=1e-5, rtol=0)
    torch.testing.assert_close(f_v.grad, wanted_v, atol=1e-5, rtol=0)
    assert region_selective_loss(f_c, f_v, to_c, 'all').item() == pytest.approx(0.292893219 / 4, abs=1e-6)


# -- low layers ------------------------------------------------------------------------------------------------------------
def test_low_layer_toy():
    adapted, target = torch.tensor([[1.0, 3], [0, 4]]).view(1, 2, 1, 2), torch.tensor([[1.0, 4], [1, 3]]).view(1, 2, 1, 2)
    assert heterogeneous_feature_loss(adapted, target).item() == pytest.approx(0.166446609, abs=1e-6)
    assert heterogeneous_feature_loss(adapted, target, 'mse_norm').item() == pytest.approx(0.332893219, abs=1e-6)
    assert heterogeneous_feature_loss(target, target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    'c, v, low, region',
    [
        ((24, 320), (32, 256), 1648, 164992),
        ((24, 320), (64, 512), 3248, 329344),
        ((64, 512), (32, 256), 4288, 263680),
        ((64, 512), (64, 512), 8448, 526336),
        ((256, 2048), (32, 256), 16960, 1053184),
        ((256, 2048), (64, 512), 33408, 2102272),
    ],
)
def test_adapter_sizes(c, v, low, region):
    for k, wanted in enumerate((low, region)):
        assert sum(p.numel() for a, b in ((c, v), (v, c)) for p in adapter(a[k], b[k]).parameters()) == wanted


# -- the method ------------------------------------------------------------------------------------------------------------
def reached(model, loss):
    model.zero_grad(set_to_none=True)
    loss.backward(retain_graph=True)
    return {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


def test_each_term_has_one_learner():
    model = build(peers(dict(type='CTCL')))
    own = losses(model, batch(4, size=(64, 64)))
    for part, adapters in (('hfd', 'adapt_low'), ('region', 'adapt_region'), ('pixel', None)):
        for learner in ('student', 'vit'):
            names = reached(model, own[f'loss_{part}_{learner}'])
            assert names and {n.split('.')[0] for n in names} == {learner, *(['methods'] if adapters else [])}
            assert all(n.startswith((f'{learner}.', f'methods.0.{adapters}.{learner}.')) for n in names)
            assert {model.owner(n) for n in names} == {learner}
    terms = {k: v for k, v in own.items() if 'loss' in k}
    separate = {}
    for value in terms.values():
        model.zero_grad(set_to_none=True)
        value.backward(retain_graph=True)
        for n, p in model.named_parameters():
            if p.grad is not None:
                separate[n] = separate.get(n, 0) + p.grad
    model.zero_grad(set_to_none=True)
    sum(terms.values()).backward()
    for n, p in model.named_parameters():
        torch.testing.assert_close(p.grad, separate[n], rtol=1e-4, atol=1e-6)


def test_without_weights_each_trains_as_if_alone():
    """Bit for bit: the gradients of two independent runs."""
    with fails('adds-nothing', 'hfd_weight, region_weight, pixel_weight'):
        build(peers(dict(type='CTCL', hfd_weight=0, region_weight=0, pixel_weight=0)))
    pair = build(peers(second=segmentor(16)))
    state = {role: {k: v.clone() for k, v in net.state_dict().items()} for role, net in pair.networks.items()}
    own = losses(pair, batch())
    assert {k for k in own if 'loss' in k} == {'decode.loss_ce', 'vit.decode.loss_ce'} and not list(pair.methods.parameters())
    pair.parse_losses(own)[0].backward()
    for role, width in (('student', 8), ('vit', 16)):
        alone = build(segmentor(width))
        alone.load_state_dict(state[role])
        alone.parse_losses(losses(alone, batch()))[0].backward()
        assert all(torch.equal(a.grad, b.grad) for a, b in zip(alone.parameters(), pair.networks[role].parameters(), strict=False))


def test_equal_peers_teach_each_other_nothing():
    model = build(peers(dict(type='CTCL', hfd_weight=0), second=segmentor(8)))
    model.networks['vit'].load_state_dict(model.student.state_dict())
    own = losses(model, batch())
    assert (
        all(
            own[f'loss_{p}_{r}'].item() == 0 and own[f'{p}_density_{r}'].item() == 0
            for p in ('pixel', 'region')
            for r in ('student', 'vit')
        )
        and own['agreement'].item() == 1
    )


def call(name, logits, label, **options):
    """A method on given logits, without a network."""
    method = METHODS.build(dict(type=name, **options))
    method.ignore_index = 255
    roles = list(logits)
    method.setup({r: {method.taps(r)[0]: tuple(logits[r].shape)} for r in roles}, roles)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=y[None])) for y in label]
    return method({r: {method.taps(r)[0]: x} for r, x in logits.items()}, dict(data_samples=samples, inputs=None, iter=0, progress=0.0))


ONLY_PIXELS = dict(hfd_weight=0, region_weight=0)


def two(seed=0):
    random = torch.Generator().manual_seed(seed)
    label = torch.randint(5, (2, 6, 7), generator=random)
    label[0, :2] = 255
    return {r: torch.randn(2, 5, 6, 7, generator=random) for r in ('a', 'b')}, label


def test_invariances():
    logits, label = two()
    own = call('CTCL', logits, label, **ONLY_PIXELS)
    shifted = call('CTCL', {r: x + torch.randn(2, 1, 6, 7) for r, x in logits.items()}, label, **ONLY_PIXELS)
    order = torch.tensor([3, 0, 4, 1, 2])
    renamed = call(
        'CTCL',
        {r: x[:, order] for r, x in logits.items()},
        torch.where(label == 255, label, order.argsort()[label.clamp(max=4)]),
        **ONLY_PIXELS,
    )
    for other in (shifted, renamed):
        for k in own:
            assert other[k].item() == pytest.approx(own[k].item(), abs=1e-5), k
    swapped = call('CTCL', dict(a=logits['b'], b=logits['a']), label, **ONLY_PIXELS)
    assert (
        swapped['loss_pixel_a'].item() == pytest.approx(own['loss_pixel_b'].item(), abs=1e-6)
        and swapped['pixel_density_b'].item() == own['pixel_density_a'].item()
    )
    cost = {r: cost_map(x, label) for r, x in logits.items()}
    valid = label != 255
    a, b = teaches(cost['a'], cost['b'], valid), teaches(cost['b'], cost['a'], valid)
    assert not (a & b).any() and (a | b | (valid & (cost['a'] == cost['b']))).sum() == valid.sum()
    assert own['pixel_density_a'].item() == pytest.approx(a.sum().item() / valid.sum().item()) and 0 < own['pixel_density_a'].item() < 1


def test_with_full_masks_it_is_dml():
    """Every valid pixel, both ways: a margin below every difference."""
    logits, label = two()
    full, dml = call('CTCL', logits, label, margin=-math.inf, **ONLY_PIXELS), call('DML', logits, label)
    for r in ('a', 'b'):
        assert (
            full[f'loss_pixel_{r}'].item() == pytest.approx(dml[f'loss_dml_{r}'].item(), rel=1e-6)
            and full[f'pixel_density_{r}'].item() == 1
        )


def test_a_perfect_peer_teaches_wherever_the_other_is_not():
    logits, label = two()
    logits['b'] = 20.0 * torch.nn.functional.one_hot(label.clamp(max=4), 5).permute(0, 3, 1, 2)
    logits['a'].requires_grad_()
    own = call('CTCL', logits, label, **ONLY_PIXELS)
    assert own['pixel_density_a'].item() == 1 and own['pixel_density_b'].item() == 0
    (grad,) = torch.autograd.grad(own['loss_pixel_a'], logits['a'])
    (wanted,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits['a'], label, ignore_index=255), logits['a'])
    torch.testing.assert_close(grad, wanted, atol=1e-6, rtol=1e-4)


def test_require_correct():
    label = torch.zeros(1, 1, 2, dtype=torch.long)
    # b is better at both, right at one
    logits = dict(a=torch.tensor([[0.0, 0], [4, 4]]).view(1, 2, 1, 2), b=torch.tensor([[0.0, 1], [2, 0]]).view(1, 2, 1, 2))
    assert call('CTCL', logits, label, **ONLY_PIXELS)['pixel_density_a'].item() == 1
    assert call('CTCL', logits, label, require_correct=True, **ONLY_PIXELS)['pixel_density_a'].item() == 0.5


@pytest.mark.parametrize('options', [{}, dict(resolution='logit'), dict(reliability='entropy')])
def test_a_batch_without_labels_is_nothing_to_learn_from(options):
    model = build(peers(dict(type='CTCL', **options)))
    data = batch(size=(64, 64))
    for sample in data['data_samples']:
        sample.gt_sem_seg.data.fill_(255)
    own = losses(model, data)
    assert all(v.item() == 0 for k, v in own.items() if k.startswith(('loss_', 'pixel', 'region', 'agreement')))
    model.parse_losses({k: v for k, v in own.items() if k.startswith('loss_')})[0].backward()


def test_resolution_start_and_grid(monkeypatch):
    label = build(peers(dict(type='CTCL')))
    logit = build(peers(dict(type='CTCL', resolution='logit')))
    late = build(peers(dict(type='CTCL', start=5)))
    a, b, c = (losses(m, batch(size=(64, 96))) for m in (label, logit, late))
    assert a['loss_pixel_vit'] != b['loss_pixel_vit'] and b['loss_pixel_vit'].isfinite()
    assert all(c[k].item() == 0 for k in c if k.startswith('loss_')) and c['pixel_density_vit'] == a['pixel_density_vit']
    monkeypatch.setattr('vkd.distill.distiller.progress', lambda: dict(iter=5, progress=0.5))
    assert losses(late, batch(size=(64, 96)))['loss_hfd_vit'].item() > 0
    coarse = build(peers(dict(type='CTCL', grid=(1, 2), normalise='all')))
    assert losses(coarse, batch(size=(64, 96)))['loss_region_vit'].isfinite()


def test_the_next_stage_of_the_other_learns_nothing_from_its_guest():
    options = dict(
        hfd_mode='cross',
        region_weight=0,
        pixel_weight=0,
        cross_stages=dict(student='backbone.layers.1', vit='backbone.layer2'),
        cross=dict(student='backbone[1]', vit='backbone[1]'),
    )
    cnn = dict(
        segmentor(8),
        backbone=dict(type='mmseg.ResNetV1c', depth=18, stem_channels=8, base_channels=8, norm_cfg=dict(type='BN')),
        decode_head=dict(segmentor(8)['decode_head'], in_channels=[8, 16, 32, 64]),
    )
    model, without = build(peers(dict(type='CTCL', **options), second=cnn)), build(peers(second=cnn))
    assert not any('hosts' in k for k in model.state_dict())
    own = losses(model, batch(size=(64, 64)))
    assert {n.split('.')[0] for n in reached(model, own['loss_hfd_student'])} == {'student', 'methods'}
    assert (
        not any(n.startswith('student.backbone.layers.1') for n in reached(model, own['loss_hfd_student']))
        and own['loss_hfd_vit'].isfinite()
    )
    assert all(n.startswith(('vit.', 'methods.0.adapt_low.vit')) for n in reached(model, own['loss_hfd_vit']))
    losses(without, batch(size=(64, 64)))
    counted = dict(without.networks['vit'].named_buffers())  # running statistics are those of a pass without a guest
    assert any('layer2' in k and 'running_mean' in k for k in counted) and all(
        torch.equal(v, counted[k]) for k, v in model.networks['vit'].named_buffers()
    )


def test_three_peers_of_other_grids():
    """Among three, one of them a CNN of stride 8 and one frozen: each learner's terms are means over its two sources."""
    cnn = dict(
        segmentor(8),
        backbone=dict(
            type='mmseg.ResNetV1c',
            depth=18,
            stem_channels=8,
            base_channels=8,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            norm_cfg=dict(type='BN'),
        ),
        decode_head=dict(segmentor(8)['decode_head'], in_channels=[8, 16, 32, 64]),
    )
    for name in ('CTCL', 'DML', 'KDCL', 'IFVD'):
        model = build(
            dict(
                type='vkd.Distiller',
                student=cnn,
                teachers=dict(vit=dict(model=segmentor(16), trainable=True), old=segmentor(12)),
                methods=[dict(type=name)],
            )
        )
        own = losses(model, batch(size=(64, 64)))
        learners = {k.rsplit('_', 1)[1] for k in own if k.startswith('loss_')}
        assert learners == {'student', 'vit'} and all(torch.as_tensor(v).isfinite().all() for v in own.values())
        total(model, batch(size=(64, 64))).backward()
        assert all(p.grad is not None for p in model.parameters()) and all(p.grad is None for p in model.teachers['old'].parameters())
    random = torch.Generator().manual_seed(0)
    logits, (_, label) = {r: torch.randn(2, 5, 6, 7, generator=random) for r in 'abc'}, two()
    three = call('DML', logits, label)['loss_dml_a']
    pairwise = [call('DML', dict(a=logits['a'], x=logits[r]), label)['loss_dml_a'] for r in 'bc']
    assert three.item() == pytest.approx(sum(pairwise).item() / 2, rel=1e-6)
    assert call('CTCL', logits, label, **ONLY_PIXELS)['loss_pixel_a'].item() == pytest.approx(
        sum(call('CTCL', dict(a=logits['a'], x=logits[r]), label, **ONLY_PIXELS)['loss_pixel_a'].item() for r in 'bc') / 2, rel=1e-6
    )


def other_ignore():
    out = segmentor(16)
    return dict(out, decode_head=dict(out['decode_head'], ignore_index=254))


@pytest.mark.parametrize(
    'cfg, told',
    [
        (peers(dict(type='CTCL'), second=segmentor(16, classes=4)), '9 classes of student, 4 classes of vit'),
        (peers(dict(type='DML'), second=segmentor(16, classes=4)), 'num_classes'),
        (peers(dict(type='IFVD'), second=segmentor(16, classes=4)), '4 classes of vit'),
        (peers(dict(type='CTCL'), second=other_ignore()), '254 of vit'),
        (peers(dict(type='KDCL'), second=other_ignore()), 'ignore_index'),
        (peers(dict(type='IFVD'), second=other_ignore()), 'ignore_index'),
        (peers(dict(type='CTCL', hfd_mode='mimik')), "'mimic'"),
        (peers(dict(type='CTCL', hfd_mode='cross')), 'cross_stages'),
        (peers(dict(type='CTCL', resolution='labels')), "'label'"),
        (peers(dict(type='CTCL', deep=dict(student='backbone[3]'))), "not for 'vit'"),
        (peers(dict(type='CTCL', among=['student', 'vitt'])), "'vit'"),
        (peers(dict(type='CTCL', of='vit')), 'among'),
        (peers(dict(type='CTCL', among=['student'])), 'two different roles'),
        (peers(dict(type='KDCL', mode='minlogit')), "'min_logit'"),
        (peers(dict(type='CTCL', low=dict(student=['backbone[0]', 'backbone[1]'], vit='backbone[0]'))), '2 taps of student'),
        (
            peers(
                dict(
                    type='CTCL', hfd_mode='cross', cross_stages=dict(student='backbone.layer', vit='backbone.layers.1'), cross='backbone[1]'
                )
            ),
            'backbone.layers',
        ),
    ],
)
def test_bad_input(cfg, told):
    with pytest.raises(UserError) as error:
        build(cfg)
    assert told in str(error.value) and '\n' not in str(error.value)


def test_bad_batches():
    with pytest.raises(UserError, match='one image'):
        losses(build(peers(dict(type='CTCL'))), batch(1))
    assert losses(build(peers(dict(type='CTCL', hfd_weight=0, region_weight=0))), batch(1))['loss_pixel_vit'].isfinite()
    with pytest.raises(UserError, match=r"4x4 regions is finer than tap 'backbone\[3\]' of the student, 2x2"):
        losses(build(peers(dict(type='CTCL', grid=(4, 4)))), batch(size=(64, 64)))
    model = build(peers(dict(type='DML'))).train()
    logits = {r: {'decode_head.conv_seg': torch.zeros(2, 9, 8, 16)} for r in model.networks}
    for samples in (None, [SegDataSample()] * 2):
        with pytest.raises(UserError, match='label maps'):
            list(model.terms(logits, dict(data_samples=samples, inputs=None)))
