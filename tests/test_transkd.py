import math

import pytest
import torch
from helpers.batches import batch, losses
from helpers.networks import build, distiller, segmentor
from torch import nn

from vkd import UserError
from vkd.distill.taps import TapReader
from vkd.methods.transkd import (
    CrossSelectiveFusion,
    EmbeddingAssistant,
    GLMixer,
    PatchEmbeddingAlignment,
    TransKD,
    find_taps,
    hierarchical_context_loss,
    patch_embedding_loss,
)

B0, B1, B2, LVT = [32, 64, 160, 256], [64, 128, 320, 512], [64, 128, 320, 512], [64, 64, 160, 256]


def count(*modules):
    return sum(p.numel() for m in modules for p in m.parameters())


@pytest.mark.parametrize(
    'student, csf, plain, pea, gl, ea',
    [
        (B0, 650304, 644160, 193536, 656130, 970952),
        (B1, 683072, 676928, 386048, 2622978, 1929416),
        (LVT, 652352, 646208, 195584, 656130, 1007816),
    ],
)
def test_parameter_counts(student, csf, plain, pea, gl, ea):
    assert count(CrossSelectiveFusion(student, B2, legacy_batch1=True)) == csf and count(CrossSelectiveFusion(student, B2)) == plain
    assert (
        count(PatchEmbeddingAlignment(student, B2)) == pea
        and count(GLMixer(student[3])) == gl
        and count(EmbeddingAssistant([3, *student[:3]], B2)) == ea
    )


def test_parameter_counts_by_stage():
    csf, assistant = CrossSelectiveFusion(B0, B2, legacy_batch1=True), EmbeddingAssistant([3, *B0[:3]], B2)
    assert [count(csf.reduce[i], csf.expand[i], *([csf.select[i]] if i < 3 else [])) for i in range(4)] == [47552, 86592, 203712, 312448]
    assert [count(assistant.embed[i], assistant.standardize[i]) for i in range(4)] == [9600, 37248, 185280, 738816]


def checkerboard(h, w):
    return (1.0 - 2.0 * ((torch.arange(h)[:, None] + torch.arange(w)) % 2)).view(1, 1, h, w)


def ramp(h, w):
    return (torch.arange(h * w, dtype=torch.float64) / (h * w - 1)).view(1, 1, h, w)


@pytest.mark.parametrize(
    'teacher, wanted',
    [
        (torch.ones(1, 1, 5, 7), 1.0),
        (checkerboard(1, 1), 1.0),
        (checkerboard(2, 2), 0.666667),
        (checkerboard(4, 4), 0.571429),
        (checkerboard(8, 8), 0.533333),
        (checkerboard(16, 32), 0.533333),
        (ramp(8, 8), 0.326425632),
        (ramp(4, 8), 0.320908280),
        (ramp(4, 8).transpose(2, 3), 0.330332986),
    ],
)
def test_hierarchical_context_loss(teacher, wanted):
    zeros = torch.zeros_like(teacher)
    assert hierarchical_context_loss([zeros], [teacher]).item() == pytest.approx(wanted, abs=1e-6)
    assert hierarchical_context_loss([teacher], [teacher]).item() == 0
    assert hierarchical_context_loss([3 * teacher], [zeros]).item() == pytest.approx(9 * wanted, abs=1e-5)


def golden(shape, function):
    return function(torch.arange(math.prod(shape), dtype=torch.float64)).view(shape)


def test_fusion_golden_values():
    csf = CrossSelectiveFusion(B0, B2).double().eval()
    for p in csf.parameters():
        if p.dim() >= 2:
            p.data = 0.05 * golden(p.shape, torch.sin)
    for select in csf.select:
        nn.init.constant_(select.current.bias, 0.1), nn.init.constant_(select.deeper.bias, -0.1)
    out = csf([golden((2, c, s, s), torch.cos) for c, s in zip(B0, (8, 4, 2, 1), strict=False)])
    wanted = [
        (-0.959240291, 168.836098200, -0.002223053),
        (-0.607507659, 128.940049739, -0.011380789),
        (0.003237956, 35.280903638, -0.022997288),
        (-0.122056300, 149.094768605, 0.070184151),
    ]
    for o, c, s, values in zip(out, B2, (8, 4, 2, 1), wanted, strict=False):
        assert o.shape == (2, c, s, s) and (o.sum().item(), o.abs().sum().item(), o.flatten()[0].item()) == pytest.approx(values, abs=1e-8)
    # the loss is worked out in float32, as in training
    assert hierarchical_context_loss(out, [golden(o.shape, torch.sin) for o in out]).item() == pytest.approx(1.516555577, abs=1e-6)


def test_fusion_by_hand():
    csf = CrossSelectiveFusion([4, 4], [6, 6], mid_channels=8).eval()
    select = csf.select[0]
    for p in select.parameters():
        nn.init.zeros_(p)
    one, five = torch.ones(2, 8, 3, 3), torch.full((2, 8, 3, 3), 5.0)
    torch.testing.assert_close(select(one, five), torch.full((2, 8, 3, 3), 3.0))  # equal gates
    nn.init.constant_(select.current.bias, math.log(3))
    torch.testing.assert_close(select(one, five), torch.full((2, 8, 3, 3), 2.0))  # 3/4 and 1/4


def test_fusion_depends_on_deeper_stages_only():
    csf = CrossSelectiveFusion(B0, B2).eval()
    maps = [torch.randn(2, c, s, s, requires_grad=True) for c, s in zip(B0, (8, 4, 2, 1), strict=False)]
    out = csf(maps)
    for i, o in enumerate(out):
        grads = torch.autograd.grad(o.sum(), maps, retain_graph=True, allow_unused=True)
        assert [g is not None and g.abs().sum() > 0 for g in grads] == [k >= i for k in range(4)]


def test_a_batch_of_one():
    maps = [torch.randn(1, c, s, s) for c, s in zip(B0, (8, 4, 2, 2), strict=False)]
    with pytest.raises(UserError, match='one image.*legacy_batch1'):
        CrossSelectiveFusion(B0, B2).train()(maps)
    assert len(CrossSelectiveFusion(B0, B2).eval()(maps)) == 4 and len(CrossSelectiveFusion(B0, B2, legacy_batch1=True).train()(maps)) == 4


def test_alignment_by_hand():
    pea = PatchEmbeddingAlignment(B0, B2)
    for p in pea.parameters():
        nn.init.zeros_(p)
    tokens = pea([torch.randn(2, 4, c) for c in B0])
    assert patch_embedding_loss(tokens, [torch.ones(2, 4, c) for c in B2]).item() == pytest.approx(1.7)
    one = PatchEmbeddingAlignment([3], [5])
    one.project[0].weight.data, one.project[0].bias.data = torch.eye(5, 3), torch.zeros(5)
    aligned = one([torch.arange(24.0).view(2, 4, 3)])
    assert patch_embedding_loss(aligned, [torch.zeros(2, 4, 5)], [1.0]).item() == pytest.approx(108.1)


def test_mixer_by_hand():
    x = torch.randn(2, 6, 16)
    for mix, add, wanted in (((0.0, 1.0), False, 0.5 * x), ((0.0, 0.0), False, torch.zeros_like(x)), ((0.0, 0.0), True, x)):
        mixer = GLMixer(16, mix=mix, add=add)
        (
            nn.init.zeros_(mixer.local.weight),
            nn.init.zeros_(mixer.local.bias),
            nn.init.zeros_(mixer.gate.weight),
            nn.init.zeros_(mixer.gate.bias),
        )
        mixer.local.weight.data[:, :, 1] = torch.eye(16)
        torch.testing.assert_close(mixer(x), wanted)
    mixer = GLMixer(16, heads=2, mix=(1.0, 0.0))
    reference = nn.MultiheadAttention(16, 2, batch_first=True)
    reference.in_proj_weight.data, reference.in_proj_bias.data = mixer.qkv.weight.data, torch.zeros(48)
    reference.out_proj.weight.data, reference.out_proj.bias.data = mixer.out.weight.data, mixer.out.bias.data
    torch.testing.assert_close(mixer(x), reference(x, x, x)[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match='heads'):
        GLMixer(12)


def test_assistant():
    ea = EmbeddingAssistant([3, 8, 8, 8], [16] * 4)
    sources = [torch.randn(2, 3, 64, 64), *(torch.randn(2, 8, s, s) for s in (16, 8, 4))]
    own = ea.tokens(sources)
    assert [t.shape for t in own] == [(2, n, 16) for n in (256, 64, 16, 4)]
    for t in own:
        assert t.mean(-1).abs().max() < 1e-5 and (t**2).mean().item() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(ea.share, torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]))
    aligned = [torch.randn_like(t) for t in own]
    ea.share.data = torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0])
    for a, b in zip(ea(aligned, sources), aligned, strict=False):
        torch.testing.assert_close(a, b)


def reached(model, loss):
    model.zero_grad(set_to_none=True)
    loss.backward(retain_graph=True)
    return {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


@pytest.mark.parametrize('variant', TransKD.variants)
def test_gradients_go_where_they_should(variant):
    model = build(distiller(dict(type='TransKD', variant=variant)))
    own = losses(model, batch(size=(64, 64)))
    hcl, pea, ce = (reached(model, own[k]) for k in ('loss_csf', 'loss_pea', 'decode.loss_ce'))
    layers = 'student.backbone.layers.'
    assert not any('decode_head' in n for n in hcl | pea) and not any(n.startswith('methods') for n in ce)
    assert (
        any(n.startswith(f'{layers}3.1') for n in hcl)
        and any(n.startswith(f'{layers}3.2') for n in hcl)
        and any('fusion' in n for n in hcl)
        and not any('alignment' in n for n in hcl)
    )
    assert all(any(n.startswith(f'{layers}{i}.0') for n in pea) for i in range(4)) and all(
        any(n.startswith(f'{layers}{i}.1') for n in pea) for i in range(3)
    )
    assert all(any(n.startswith(f'{layers}{i}.2') for n in pea) for i in range(3))
    assert not any(n.startswith((f'{layers}3.1', f'{layers}3.2')) or 'fusion' in n for n in pea)
    assert {n for n in pea if 'alignment' in n} == {f'methods.0.alignment.project.{i}.{p}' for i in range(4) for p in ('weight', 'bias')}
    assert ('methods.0.assistant.embed.0.weight' in pea) == (variant == 'ea') and ('methods.0.mixer.qkv.weight' in pea) == (variant == 'gl')


def test_the_assistant_brings_gradient_through_the_stages():
    """Only its own embeddings counted: stages 1 to 3 learn from them, the fourth does not."""
    model = build(distiller(dict(type='TransKD', variant='ea', share=(0.0, 0, 0, 0, 1, 1, 1, 1))))
    names = reached(model, losses(model, batch(size=(64, 64)))['loss_pea'])
    layers = 'student.backbone.layers.'
    assert all(any(n.startswith(f'{layers}{i}.2') for n in names) for i in range(3)) and not any(n.startswith(f'{layers}3') for n in names)


def test_equal_embeddings_under_the_identity_leave_nothing_to_learn():
    pea, tokens = PatchEmbeddingAlignment([8] * 4, [8] * 4), [torch.randn(2, 5, 8) for _ in range(4)]
    for project in pea.project:
        project.weight.data, project.bias.data = torch.eye(8), torch.zeros(8)
    assert patch_embedding_loss(pea(tokens), tokens).item() == 0
    nn.init.constant_(pea.project[2].bias, 1.0)
    assert patch_embedding_loss(pea(tokens), tokens).item() == pytest.approx(0.5)


@pytest.mark.parametrize('variant', TransKD.variants)
@pytest.mark.parametrize(
    'options, keys',
    [
        (dict(embedding_stage=0), {'loss_csf'}),
        (dict(embedding_stage=2), {'loss_csf', 'loss_pea'}),
        (dict(embedding_weights=(1.0, 1.0, 1.0, 0.0)), {'loss_csf', 'loss_pea'}),
        (dict(legacy_batch1=True), {'loss_csf', 'loss_pea'}),
        (dict(feature_loss='cwd'), {'loss_csf', 'loss_pea'}),
        (dict(feature_loss='kl', tau=2.0), {'loss_csf', 'loss_pea'}),
    ],
)
def test_switches(variant, options, keys):
    model = build(distiller(dict(type='TransKD', variant=variant, **options)))
    own = losses(model, batch())
    assert {k for k in own if k.startswith('loss')} == keys and all(torch.isfinite(own[k]) for k in keys)
    model.parse_losses(own)[0].backward()
    assert {n for n, p in model.named_parameters() if p.grad is None} == {f'methods.0.{n}' for n in model.methods[0].without_gradient}


def pvt(kind):
    head = dict(
        type='mmseg.FPNHead',
        in_channels=[256] * 4,
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=32,
        num_classes=9,
        norm_cfg=dict(type='BN'),
        align_corners=False,
    )
    return dict(
        segmentor(8),
        backbone=dict(type='mmseg.TIMMBackbone', model_name=kind, features_only=True, pretrained=False, out_indices=(0, 1, 2, 3)),
        neck=dict(type='mmseg.FPN', in_channels=B0 if kind == 'pvt_v2_b0' else B2, out_channels=256, num_outs=4),
        decode_head=head,
    )


def test_taps_of_both_families():
    model = build(distiller(dict(type='TransKD'), student=pvt('pvt_v2_b0'), teacher=pvt('pvt_v2_b2')))
    own = losses(model, batch(size=(64, 64)))
    assert torch.isfinite(own['loss_pea']) and [model.tap_shapes['student'][t][1] for t in model.methods[0].stages['student']] == B0
    mixed = build(distiller(dict(type='TransKD'), student=segmentor(8), teacher=pvt('pvt_v2_b2')))
    assert torch.isfinite(losses(mixed, batch(size=(64, 64)))['loss_csf'])
    ran = []
    mixed.teachers['teacher'].neck.register_forward_hook(lambda *_: ran.append(1))
    losses(mixed, batch(size=(64, 64)))
    assert not ran  # the teacher's decoder never runs


def test_the_embeddings_are_those_before_the_first_block():
    model = build(segmentor(8))
    stages, embeddings = find_taps(model)
    assert stages == [f'backbone[{i}]' for i in range(4)] and embeddings == [f'backbone.layers.{i}.0[0]' for i in range(4)]
    reader, image = TapReader(model.eval(), [*stages, *embeddings]), torch.randn(2, 3, 64, 64)
    _, seen = reader.read(lambda: model(image))
    for i, (embed, blocks, norm) in enumerate(model.backbone.layers):
        source = image if i == 0 else seen[stages[i - 1]]
        tokens = embed.norm(embed.projection(source).flatten(2).transpose(1, 2))
        torch.testing.assert_close(seen[embeddings[i]], tokens)
        for block in blocks:
            tokens = block(tokens, seen[stages[i]].shape[-2:])
        torch.testing.assert_close(seen[stages[i]].flatten(2).transpose(1, 2), norm(tokens))


def grid(n):
    out = segmentor(16)
    out['backbone']['strides'] = n
    return out


@pytest.mark.parametrize(
    'cfg, told',
    [
        (distiller(dict(type='TransKD', variant='gel')), "'gl'"),
        (distiller(dict(type='TransKD', feature_loss='hlc')), "'hcl'"),
        (distiller(dict(type='TransKD', embedding_stage=7)), 'embedding_stage'),
        (distiller(dict(type='TransKD', embedding_weights=(1.0, 1.0, 1.0))), '3 embedding_weights'),
        (distiller(dict(type='TransKD', variant='ea', share=(1.0, 1.0))), 'share has 2'),
        (distiller(dict(type='TransKD'), teacher=grid([4, 2, 2, 1])), 'stage 4'),
        (distiller(dict(type='TransKD', student_channels=[8, 8, 8, 9])), 'student_channels'),
        (distiller(dict(type='TransKD', student_stages=['backbone[0]'], student_embeddings=['backbone.layers.0.0[0]'])), 'four of each'),
        (
            distiller(
                dict(type='TransKD'),
                teacher=dict(
                    segmentor(8),
                    backbone=dict(
                        segmentor(8)['backbone'],
                        num_stages=3,
                        num_layers=[1] * 3,
                        num_heads=[1] * 3,
                        patch_sizes=[7, 3, 3],
                        strides=[4, 2, 2],
                        sr_ratios=[8, 4, 2],
                        out_indices=(0, 1, 2),
                    ),
                    decode_head=dict(segmentor(8)['decode_head'], in_channels=[8] * 3, in_index=[0, 1, 2]),
                ),
            ),
            '3 stages',
        ),
    ],
)
def test_bad_input(cfg, told):
    with pytest.raises(UserError) as error:
        build(cfg)
    assert told in str(error.value) and '\n' not in str(error.value)


def test_a_backbone_that_is_not_known_names_the_option():
    resnet = dict(
        segmentor(8),
        backbone=dict(type='mmseg.ResNetV1c', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN')),
        decode_head=dict(segmentor(8)['decode_head'], in_channels=[8, 16, 32, 64]),
    )
    with pytest.raises(UserError, match='student_embeddings'):
        build(distiller(dict(type='TransKD'), student=resnet))


def unpadded(width):
    out = segmentor(width)
    return dict(out, data_preprocessor=dict(out['data_preprocessor'], size_divisor=16))


def test_small_images_and_single_ones():
    """Told before a network fails on it in words of its own."""
    model = build(distiller(dict(type='TransKD'), student=unpadded(8), teacher=unpadded(16)))
    with pytest.raises(UserError, match='16x48'):
        losses(model, batch(size=(16, 48)))
    with pytest.raises(UserError, match='one image'):
        losses(model, batch(1))


def test_the_loss_of_the_official_preset():
    """Weighted cross entropy at a quarter of the resolution, divided by the weights of the counted pixels."""
    from helpers import ROOT

    from vkd.build.config import load_config

    cfg = load_config(ROOT / 'configs/alone/alone_mit-b0_official_cityscapes-512x1024.py')
    head = build(cfg.model).student.decode_head
    assert (
        sum(
            p.numel()
            for p in build(load_config(ROOT / 'configs/alone/alone_mit-b0_mmseg_cityscapes-512x1024.py').model).student.parameters()
        )
        == 3720051
    )
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    def loss(logits, labels):
        full = torch.full((1, 4 * labels.shape[0], 4 * labels.shape[1]), 7)  # only every fourth pixel is looked at
        full[0, ::4, ::4] = labels
        return head.loss_by_feat(logits, [SegDataSample(gt_sem_seg=PixelData(data=full))])['loss_ce'].item()

    labels = torch.tensor([[0, 1, 255]])
    assert loss(torch.zeros(1, 19, 1, 3), labels) == pytest.approx(math.log(19), abs=1e-5)
    logits = torch.zeros(1, 19, 1, 3)
    logits[0, 0, 0, 0] = 2.0
    w = torch.tensor(cfg.model.student.decode_head.loss_decode.class_weight[:2])
    own = torch.tensor([math.log(18 + math.e**2) - 2, math.log(19)])
    assert loss(logits, labels) == pytest.approx((w * own).sum().item() / w.sum().item(), abs=1e-5)
    # the authors' own layout: a twentieth class of weight 0 in place of an ignored label
    cfg.model.student.decode_head.update(num_classes=20)
    cfg.model.student.decode_head.loss_decode.class_weight.append(0.0)
    head = build(cfg.model).student.decode_head
    labels = torch.tensor([[0, 1, 19]])
    assert loss(torch.zeros(1, 20, 1, 3), labels) == pytest.approx(2.995732, abs=1e-5)
    assert loss(torch.nn.functional.pad(logits, (0, 0, 0, 0, 0, 1)), labels) == pytest.approx(2.516770102, abs=1e-5)


def test_lvt_of_the_official_preset_drops_nothing():
    """The authors' ``lvt()`` has all rates at 0; mmseg's preset keeps what mmseg has for such networks."""
    from helpers import ROOT

    from vkd.build.config import load_config

    files = sorted((ROOT / 'configs').glob('*/*lvt*official*.py'))
    assert len(files) == 4
    for file in files:
        student = load_config(file).model.student
        assert student.backbone.drop_path_rate == 0 and student.decode_head.dropout_ratio == 0, file.name
    model = build(load_config(ROOT / 'configs/alone/alone_lvt_official_cityscapes-512x1024.py').model).student
    assert not any(getattr(m, 'drop_prob', 0) for m in model.modules()) and model.decode_head.dropout is None
    kept = load_config(ROOT / 'configs/alone/alone_lvt_mmseg_cityscapes-512x1024.py').model.student
    assert kept.backbone.drop_path_rate == kept.decode_head.dropout_ratio == 0.1
