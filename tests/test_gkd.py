"""GKD by hand (the values of its specification), plain ViTs as backbones, the stages, and bad input."""

import copy
import hashlib
import importlib.util
from contextlib import nullcontext

import pytest
import timm
import torch
from helpers import ROOT
from helpers.batches import batch, losses, total
from helpers.configs import config
from helpers.errors import fails
from helpers.gkd import METHOD, PREPROCESSOR, stage1, vit
from helpers.networks import build, segmentor
from helpers.processes import Power, killed_and_resumed
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from mmseg.structures import SegDataSample
from torch import nn

import vkd.runs.run
from vkd import UserError
from vkd.build.checkpoint import load_weights
from vkd.build.config import check_packages, load_config
from vkd.build.identity import experiment_fingerprint
from vkd.distill.taps import TapReader
from vkd.engine import FeatureCache, build_runner
from vkd.export.student import export
from vkd.leaderboard.reading import read_runs
from vkd.methods.gkd import GKD, QuerySoftDistillation, feature_loss, query_soft_attention, random_patch_mask, token_loss
from vkd.models.backbones import TimmViT
from vkd.models.backbones.timm_vit import replace_masked, resize_kernel, resize_positions
from vkd.runs.cells import read_suite, status
from vkd.runs.jobs import run_cell
from vkd.runs.suite import run_cells

V_S, V_T = torch.tensor([[[1.0, 0], [0, 2]]]), torch.tensor([[[1.0, 1], [0, 1]]])


# -- query-based soft distillation -----------------------------------------------------------------------------------------
def identity(module, norm):
    for linear in (module.query, module.value):
        nn.init.eye_(linear.weight)
        nn.init.zeros_(linear.bias)
    if not norm:
        module.standardize_query = module.standardize_value = nn.Identity()
    return module


@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize(
    'norm, out, loss',
    [(False, [[0.731059, 0.537883], [0.5, 1.0]], 0.133970), (True, [[0.462096, -0.462096], [-0.462117, 0.462117]], 0.732484)],
)
def test_the_toy(norm, out, loss, fused):
    head = identity(QuerySoftDistillation(2, 2, fused=fused), norm)
    found = head(V_S, V_T)
    torch.testing.assert_close(found[0], torch.tensor(out), atol=2e-6, rtol=0)
    assert token_loss(found, V_T).item() == pytest.approx(loss, abs=1e-6)


def test_attention_of_the_toy():
    eye = torch.eye(2)[None]
    torch.testing.assert_close(query_soft_attention(V_S, V_T, eye)[0], torch.tensor([[0.731059, 0.268941], [0.5, 0.5]]), atol=1e-6, rtol=0)
    normed = nn.LayerNorm(2)(V_S)
    assert normed.abs().flatten().tolist() == pytest.approx([0.999980] * 4, abs=2e-5)
    torch.testing.assert_close(
        query_soft_attention(normed, V_T, eye)[0], torch.tensor([[0.731055, 0.268945], [0.268942, 0.731058]]), atol=2e-6, rtol=0
    )


@pytest.mark.parametrize('s, t, count', [(384, 768, 592896), (768, 1024, 1577984)])
def test_parameters_of_a_head(s, t, count):
    assert sum(p.numel() for p in QuerySoftDistillation(s, t).parameters()) == count


def test_invariances():
    torch.manual_seed(0)
    head, s, t = QuerySoftDistillation(384, 768), torch.randn(2, 16, 384), torch.randn(2, 16, 768)
    share = query_soft_attention(head.query(head.standardize_query(s)), t, torch.eye(16).expand(2, -1, -1))
    torch.testing.assert_close(share.sum(-1), torch.ones(2, 16))
    out, order = head(s, t), torch.randperm(16)
    torch.testing.assert_close(head(s[:, order], t[:, order]), out[:, order])
    assert (head(s, t[:, order]) - out).abs().max() > 0.1
    with torch.no_grad():
        head.query.weight.zero_()
        head.query.bias.zero_()
    mean = head.value(head.standardize_value(s)).mean(1, keepdim=True)
    torch.testing.assert_close(head(s, t), mean.expand(-1, 16, -1), atol=1e-5, rtol=1e-4)


def test_one_token_is_its_value_and_its_query_has_zero_gradient():
    head, s, t = QuerySoftDistillation(12, 8), torch.randn(3, 1, 12), torch.randn(3, 1, 8, requires_grad=True)
    out = head(s, t)
    torch.testing.assert_close(out, head.value(head.standardize_value(s)))
    token_loss(out, t).backward()
    assert t.grad is None
    assert all(p.grad is not None and p.grad.abs().max() == 0 for p in [*head.query.parameters(), *head.standardize_query.parameters()])
    assert all(p.grad.abs().max() > 0 for p in [*head.value.parameters(), *head.standardize_value.parameters()])


def test_the_fused_attention_is_the_plain_one_and_gradients_are_right():
    torch.manual_seed(1)
    q, k, v = (torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    out = [query_soft_attention(q, k, v, 0.7, fused) for fused in (False, True)]
    torch.testing.assert_close(*out)
    grads = [torch.autograd.grad(o.square().sum(), (q, k, v)) for o in out]
    for a, b in zip(*grads, strict=False):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    # a numeric derivative, in the direction of a random query
    d, eps = torch.randn_like(q), 1e-2
    numeric = sum(sign * query_soft_attention(q + sign * eps * d, k, v, 0.7).square().sum() for sign in (1, -1)) / (2 * eps)
    assert (grads[0][0] * d).sum().item() == pytest.approx(numeric.item(), rel=1e-2)


def test_attention_stays_in_float32_under_autocast():
    s, t = torch.randn(2, 9, 16), 2 * torch.randn(2, 9, 16)
    want = [query_soft_attention(s, t, s, fused=fused) for fused in (False, True)]
    with torch.autocast('cpu', torch.bfloat16):
        assert (
            all(torch.equal(query_soft_attention(s, t, s, fused=fused), y) for fused, y in enumerate(want))
            and token_loss(s.bfloat16(), t).dtype == torch.float32
        )


def test_unscaled_logits_are_nearly_one_hot():
    """Why ``scale`` exists: trap 2 of the method, on the numbers of a ViT-L."""
    g = torch.Generator().manual_seed(0)
    q, k = torch.randn(1, 1024, 1024, generator=g), 2 * torch.randn(1, 1024, 1024, generator=g)
    most = [query_soft_attention(q, k, torch.eye(1024)[None], scale).amax(-1).mean().item() for scale in (1.0, 1024**-0.5)]
    assert most == pytest.approx([0.968, 0.102], abs=0.02)  # of 1024 rows, by another draw


# -- the terms -------------------------------------------------------------------------------------------------------------
def test_composition():
    zero, one = torch.zeros(1, 4, 2), torch.ones(1, 4, 2)
    c_s, c_t = torch.zeros(1, 1, 2), torch.full((1, 1, 2), 3.0)
    patches, cls, both = feature_loss(zero, one), token_loss(c_s, c_t), feature_loss(zero, one, c_s, c_t)
    assert (patches.item(), cls.item(), both.item()) == pytest.approx((1, 9, 2.6))
    assert (both + patches + cls).item() == pytest.approx(12.6)


def toy(**options):
    """A method whose heads give zeros, between hand-made tokens, as in the composition."""
    method = GKD('patches', 'patches', student_cls='cls', teacher_cls='cls', embed='patch_embed', **options)
    method.find_taps(nn.Linear(1, 1), None)
    method.setup(dict(patches=(1, 4, 2), cls=(1, 2), patch_embed=(1, 2, 2, 2)), dict(patches=(1, 4, 2), cls=(1, 2)))
    for p in method.parameters():
        nn.init.zeros_(p)
    return method


@pytest.mark.parametrize(
    'options, want',
    [
        ({}, dict(loss_feat=2.6, loss_mask=1, loss_cls=9)),
        (dict(feat_includes_cls=False), dict(loss_feat=1, loss_mask=1, loss_cls=9)),
        (dict(feat_weight=2.0, mask_weight=3.0, cls_weight=0.5), dict(loss_feat=5.2, loss_mask=3, loss_cls=4.5)),
        (dict(mask_weight=0, cls_weight=0, feat_includes_cls=False), dict(loss_feat=1)),
        (dict(feat_weight=0, mask_weight=0), dict(loss_cls=9)),
    ],
)
def test_weights_of_the_method(options, want):
    method, zero = toy(**options), dict(patches=torch.randn(1, 4, 2), cls=torch.randn(1, 2))
    teacher = dict(patches=torch.ones(1, 4, 2), cls=torch.full((1, 2), 3.0))
    found = method(zero, teacher, {}, *([zero] if method.second_pass else []))
    assert {k: v.item() for k, v in found.items()} == pytest.approx(want)
    assert bool(method.second_pass) == ('loss_mask' in want) and hasattr(method, 'mask_token') == ('loss_mask' in want)


# -- masks -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize('b, n, images, hidden', [(128, 256, 64, 128), (32, 1024, 16, 512), (5, 9, 2, 4), (1, 16, 0, 8)])
def test_masks(b, n, images, hidden):
    mask = random_patch_mask(b, n, generator=torch.Generator().manual_seed(0))
    assert mask.dtype == torch.bool and mask.shape == (b, n)
    assert mask.sum(1).tolist() == [hidden] * images + [0] * (b - images)
    other = random_patch_mask(b, n, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mask, other)
    if images > 1:
        assert not torch.equal(mask[0], mask[1]) and not torch.equal(
            mask, random_patch_mask(b, n, generator=torch.Generator().manual_seed(1))
        )
        anywhere = random_patch_mask(b, n, first_n=False, generator=torch.Generator().manual_seed(3))
        assert sorted(anywhere.sum(1).tolist()) == [0] * (b - images) + [hidden] * images and (
            b < 32 or anywhere[:images].sum() < images * hidden
        )


def test_every_token_is_as_likely_to_be_hidden():
    share = random_patch_mask(4000, 10, 1.0, 0.3, generator=torch.Generator().manual_seed(0)).float().mean(0)
    assert share.tolist() == pytest.approx([0.3] * 10, abs=0.03)


def test_masked_tokens():
    torch.manual_seed(0)
    model, x = build(vit()).eval(), torch.randn(4, 3, 32, 32)
    none, some = torch.zeros(4, 16, dtype=torch.bool), random_patch_mask(4, 16)
    token = torch.randn(16, requires_grad=True)
    for a, b in zip(model.forward_tokens(x), model.forward_tokens(x, none, token), strict=False):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    (_, clean), (_, masked) = model.forward_tokens(x), model.forward_tokens(x, some, token)
    assert torch.equal(clean[2:], masked[2:]) and (clean[:2] - masked[:2]).abs().max() > 0.01
    masked.square().sum().backward()
    assert token.grad.abs().max() > 0
    assert torch.equal(
        replace_masked(torch.ones(1, 2, 2, 3), torch.tensor([[True, False, False, True]]), torch.zeros(3)).sum(-1),
        torch.tensor([[[0.0, 3], [3, 0]]]),
    )


# -- plain ViTs ------------------------------------------------------------------------------------------------------------
def meta(arch, size, **more):
    with torch.device('meta'):
        model = TimmViT(arch, img_size=size, **more).eval()
        return model, torch.zeros(1, 3, size, size)


@pytest.mark.parametrize(
    'arch, width, low, high',
    [
        ('deit_small_patch16_224', 384, 21.7e6, 22.1e6),
        ('vit_small_patch14_dinov2', 384, 21.7e6, 22.1e6),
        ('vit_base_patch14_dinov2', 768, 85.8e6, 86.6e6),
        ('vit_large_patch14_dinov2', 1024, 303.2e6, 304.4e6),
        ('vit_base_patch14_reg4_dinov2', 768, 85.8e6, 86.6e6),
    ],
)
def test_shapes_and_sizes(arch, width, low, high):
    model, image = meta(arch, 512, patch_size=16, out_indices=None)
    cls, patches = model(image)
    assert cls.shape == (1, width) and patches.shape == (1, 1024, width) and model.vit.norm.eps == 1e-6
    assert low <= sum(p.numel() for p in model.parameters()) <= high


def test_maps_and_pyramid():
    model, image = meta('deit_small_patch16_224', 512, out_indices=(3, 5, 7, 11))
    assert [tuple(y.shape) for y in model(image)] == [(1, 384, 32, 32)] * 4
    model, _ = meta('deit_small_patch16_224', 512, out_indices=(3, 5, 7, 11), pyramid=True)
    assert [y.shape[-1] for y in model(image)] == [128, 64, 32, 16]


@pytest.mark.parametrize(
    'arch', ['deit_tiny_patch16_224', 'vit_small_patch14_reg4_dinov2', 'vit_xsmall_patch16_clip_224', 'eva02_tiny_patch14_224']
)
def test_it_computes_what_timm_does(arch):
    torch.manual_seed(0)
    model = TimmViT(arch, img_size=56, patch_size=14, out_indices=(0, 1), out_norm=True, tokens=True, options=dict(depth=2)).eval()
    x, skip = torch.randn(2, 3, 56, 56), model.vit.num_prefix_tokens
    with torch.no_grad():
        cls, patches = model.forward_tokens(x)
        want, maps = model.vit.forward_features(x), model(x)
        assert torch.equal(patches, want[:, skip:]) and torch.equal(cls, want[:, 0])
        torch.testing.assert_close(maps[-1].flatten(2).transpose(1, 2), patches)
        raw = model.vit.forward_intermediates(x, [0, 1], norm=False, intermediates_only=True)
        model.out_norm = False
        assert all(torch.equal(a, b) for a, b in zip(model(x), raw, strict=False))


def test_rectangular_images():
    model = TimmViT('deit_tiny_patch16_224', options=dict(depth=1)).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 384, 640))[1].shape == (1, 24 * 40, 192)
        model.out_indices = (0,)
        assert model(torch.randn(1, 3, 384, 640))[0].shape == (1, 192, 24, 40)


def test_resampling():
    kernel = torch.ones(1, 1, 14, 14)
    assert resize_kernel(kernel, (16, 16)).sum().item() == pytest.approx(256, rel=1e-4) and resize_kernel(
        kernel, (16, 16), 'timm'
    ).sum().item() == pytest.approx(196, rel=1e-2)
    assert resize_kernel(kernel, (14, 14)) is kernel
    positions = torch.randn(1, 1 + 9, 5)
    out = resize_positions(positions, (3, 3), (4, 6), 1)
    assert out.shape == (1, 25, 5) and torch.equal(out[:, 0], positions[:, 0])
    want = nn.functional.interpolate(positions[0, 1:].t().view(1, 5, 3, 3), size=(4, 6), mode='bicubic', align_corners=False)
    torch.testing.assert_close(out[0, 1:].t().view(1, 5, 4, 6), want)
    shrunk = [
        resize_positions(torch.randn(1, 65, 5, generator=torch.Generator().manual_seed(0)), (8, 8), (4, 4), 1, how)
        for how in ('bicubic', 'timm')
    ]
    assert not torch.allclose(*shrunk)


def test_positions_with_the_offset_of_dinov2():
    """DINOv2's code gives bicubic resizing the factor (new + 0.1) / old in place of the new size; 37x37 is its releases' grid."""
    positions = torch.randn(1, 1 + 37 * 37, 5, generator=torch.Generator().manual_seed(0))
    grid = positions[0, 1:].t().view(1, 5, 37, 37)
    released = nn.functional.interpolate(grid, scale_factor=(16.1 / 37, 16.1 / 37), mode='bicubic', align_corners=False)
    out = resize_positions(positions, (37, 37), (16, 16), 1, offset=0.1)
    assert out.shape == (1, 257, 5) and torch.equal(out[:, 0], positions[:, 0])
    torch.testing.assert_close(out[0, 1:].t().view(1, 5, 16, 16), released)
    assert not torch.allclose(out, resize_positions(positions, (37, 37), (16, 16), 1), atol=1e-3)
    assert resize_positions(positions, (37, 37), (37, 37), 1, offset=0.1) is positions
    ramp = torch.arange(37.0).view(1, 37, 1).expand(37, 37, 1).reshape(1, -1, 1)  # of which each place is its column
    found = resize_positions(ramp, (37, 37), (16, 20), 0, offset=0.1).view(16, 20)
    torch.testing.assert_close(found[8, 3:-3], (torch.arange(3, 17) + 0.5) * 37 / 20.1 - 0.5, atol=0.06, rtol=0)
    model = small('vit_small_patch14_dinov2', img_size=518, interpolate_offset=0.1).eval()
    plain = small('vit_small_patch14_dinov2', img_size=518).eval()
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        model.vit.pos_embed.copy_(torch.randn(1, 1370, 384))
        plain.vit.pos_embed.copy_(model.vit.pos_embed)
        x = torch.randn(1, 3, 224, 224)
        assert not torch.allclose(model(x)[1], plain(x)[1], atol=1e-3)
    for options in (dict(interpolate_offset=1.5), dict(interpolate_offset=0.1, resample='timm')):
        with pytest.raises(UserError, match='interpolate_offset is'):
            small('vit_small_patch14_dinov2', **options)


def test_bad_vits():
    for options, match in (
        (dict(arch='deit_smal_patch16_224'), 'deit_small_patch16_224'),
        (dict(arch='resnet18'), 'no plain vision transformer'),
        (dict(resample='linear'), 'linear'),
        (dict(arch='vit_medium_patch16_gap_256', img_size=64), 'class token'),
        (dict(out_indices=(5,)), 'blocks 0 to 1'),
        (dict(out_indices=(0, 1), pyramid=True), 'four'),
        (dict(img_size=40), 'img_size 40x40.*16x16'),
        (dict(arch='deit_tiny_distilled_patch16_224'), 'deit_tiny_patch16_224'),
    ):
        with pytest.raises(UserError, match=match):
            TimmViT(**{'arch': 'vit_tiny_patch16_224', **({} if 'arch' in options else dict(options=dict(depth=2))), **options})
    with pytest.raises(UserError, match='do not fill an image of 40x32'):
        build(vit(patch_size=16))(torch.randn(1, 3, 40, 32))


# -- checkpoints of releases -----------------------------------------------------------------------------------------------
def small(arch, **more):
    return TimmViT(arch, options=dict(depth=2), **more)


def stored(state, tmp_path, wrap=lambda s: s):
    torch.save(wrap(state), tmp_path / 'release.pth')
    return dict(type='Pretrained', checkpoint=str(tmp_path / 'release.pth'))


def test_a_release_of_dinov2_with_registers(tmp_path):
    """Its registers have no position, its class token has; timm adds that to the token."""
    source = small('vit_small_patch14_reg4_dinov2', img_size=56)
    state = {k: v.clone() for k, v in source.vit.state_dict().items()}
    position = torch.randn(1, 1, 384)
    state.update(
        register_tokens=state.pop('reg_token'),
        cls_token=state['cls_token'] - position,
        pos_embed=torch.cat([position, state['pos_embed']], 1),
        mask_token=torch.zeros(1, 384),
    )
    model = small('vit_small_patch14_reg4_dinov2', img_size=64, patch_size=16, init_cfg=stored(state, tmp_path))
    model.init_weights()
    assert model.report['share'] == 1
    torch.testing.assert_close(model.vit.cls_token, source.vit.cls_token)
    assert torch.equal(model.vit.pos_embed, source.vit.pos_embed)  # 4x4 both
    torch.testing.assert_close(model.vit.patch_embed.proj.weight, resize_kernel(source.vit.patch_embed.proj.weight, (16, 16)))


def test_the_paper_begins_with_the_distilled_deit(tmp_path):
    """Timm's own network of that release: its token, the token's position and its head go, all else fits at patches of 14."""
    released = timm.create_model('deit_tiny_distilled_patch16_224', depth=2)
    state = {k: torch.randn(v.shape, generator=torch.Generator().manual_seed(i)) for i, (k, v) in enumerate(released.state_dict().items())}
    assert {'dist_token', 'head_dist.weight'} <= set(state) and state['pos_embed'].shape == (1, 198, 192)
    model = small('deit_tiny_patch16_224', img_size=224, patch_size=14, init_cfg=stored(state, tmp_path, lambda s: dict(model=s)))
    model.init_weights()
    assert model.report['share'] == 1
    kept = torch.cat([state['pos_embed'][:, :1], state['pos_embed'][:, 2:]], 1)
    torch.testing.assert_close(model.vit.pos_embed, resize_positions(kept, (14, 14), (16, 16), 1))
    torch.testing.assert_close(model.vit.patch_embed.proj.weight, resize_kernel(state['patch_embed.proj.weight'], (14, 14)))
    assert torch.equal(model.vit.blocks[1].mlp.fc2.weight, state['blocks.1.mlp.fc2.weight'])
    first = load_config(ROOT / 'configs/gkd/gkd_deit-s_dinov2-b_stage1a_imagenet-224x224.py').model
    assert first.student.init_cfg.checkpoint == 'weights/deit_small_distilled_patch16_224-649709d9.pth'
    # the authors' teacher resizes its positions on the way in stage 1a; those of 1b are converted beforehand, without an offset
    assert first.teacher.interpolate_offset == 0.1
    for stage in (ROOT / 'configs/gkd').glob('*dinov2-b_stage1b*.py'):
        assert load_config(stage).model.teacher.interpolate_offset == 0


def test_a_distillation_token_is_dropped(tmp_path):
    source = small('deit_tiny_patch16_224', img_size=64)
    state = {k: v.clone() for k, v in source.vit.state_dict().items()}
    state.update(
        dist_token=torch.randn(1, 1, 192),
        pos_embed=torch.cat([state['pos_embed'][:, :1], torch.randn(1, 1, 192), state['pos_embed'][:, 1:]], 1),
    )
    state['head.weight'] = state['head_dist.weight'] = torch.randn(1000, 192)
    model = small('deit_tiny_patch16_224', img_size=128, init_cfg=stored(state, tmp_path, lambda s: dict(model=s)))
    model.init_weights()
    assert model.report['share'] == 1 and torch.equal(model.vit.cls_token, source.vit.cls_token)
    torch.testing.assert_close(model.vit.pos_embed, resize_positions(source.vit.pos_embed, (4, 4), (8, 8), 1))


def test_a_release_of_clip(tmp_path):
    """OpenAI's names, and OpenCLIP's around a timm tower."""
    model = small('vit_xsmall_patch16_clip_224', img_size=64)
    state = {f'visual.trunk.{k}': v.clone() + 1 for k, v in model.vit.state_dict().items()}
    model.init_cfg = stored({**state, 'text.token_embedding.weight': torch.zeros(3, 3)}, tmp_path)
    model.init_weights()
    assert model.report['share'] == 1 and torch.equal(model.vit.norm_pre.weight, state['visual.trunk.norm_pre.weight'])
    names = [
        ('visual.class_embedding', 'cls_token', lambda v: v[0, 0]),
        ('visual.positional_embedding', 'pos_embed', lambda v: v[0]),
        ('visual.conv1.weight', 'patch_embed.proj.weight', None),
        *((f'visual.ln_{a}.{p}', f'{b}.{p}', None) for a, b in (('pre', 'norm_pre'), ('post', 'norm')) for p in ('weight', 'bias')),
        *(
            (f'visual.transformer.resblocks.{i}.{a}{dot}{p}', f'blocks.{i}.{b}.{p}', None)
            for i in range(2)
            for p in ('weight', 'bias')
            for a, b, dot in (
                ('attn.in_proj', 'attn.qkv', '_'),
                ('attn.out_proj', 'attn.proj', '.'),
                ('ln_1', 'norm1', '.'),
                ('ln_2', 'norm2', '.'),
                ('mlp.c_fc', 'mlp.fc1', '.'),
                ('mlp.c_proj', 'mlp.fc2', '.'),
            )
        ),
    ]
    own = {k: v.clone() for k, v in small('vit_xsmall_patch16_clip_224', img_size=64).vit.state_dict().items()}
    model.init_cfg = stored(
        {a: own[b] if f is None else f(own[b]) for a, b, f in names}
        | {'positional_embedding': torch.zeros(77, 512), 'visual.proj': torch.zeros(256, 512)},
        tmp_path,
    )
    model.init_weights()
    assert model.report['share'] == 1 and all(torch.equal(v, own[k]) for k, v in model.vit.state_dict().items())


@pytest.mark.parametrize('arch', ['eva02_tiny_patch14_224', 'deit_tiny_patch16_224'])
def test_own_checkpoints_at_another_size(arch, tmp_path):
    source = small(arch, img_size=56 if '14' in arch else 64)
    for wrap in (
        lambda s: s,
        lambda s: dict(state_dict={f'student.{k}': v for k, v in s.items()}, meta={}),
        lambda s: {f'student.backbone.{k}': v for k, v in s.items()},
        lambda s: {f'backbone.{k}': v for k, v in s.items()} | {'decode_head.conv.weight': torch.zeros(1)},
    ):
        model = small(arch, img_size=128, patch_size=16, init_cfg=stored(source.state_dict(), tmp_path, wrap))
        model.init_weights()
        assert model.report['share'] == 1 and all(
            torch.equal(a, b) for a, b in zip(model.vit.blocks.state_dict().values(), source.vit.blocks.state_dict().values(), strict=False)
        )
        assert model.vit.pos_embed.shape[1] == 65


def test_checkpoints_that_do_not_fit(tmp_path):
    source = small('deit_tiny_patch16_224', img_size=64).vit.state_dict()
    for state, share in (
        ({k: v for k, v in source.items() if 'attn' not in k}, '73%'),
        ({f'decode_head.{k}': v for k, v in source.items()}, '0%'),
        ({f'methods.0.{k}': v for k, v in source.items()}, '0%'),
        (small('vit_small_patch14_dinov2', img_size=56).vit.state_dict(), '0%'),
    ):
        model = small('deit_tiny_patch16_224', img_size=64, init_cfg=stored(state, tmp_path))
        with pytest.raises(UserError, match=share) as error:
            model.init_weights()
        assert 'release.pth' in str(error.value) and '\n' not in str(error.value)
    whole = TimmViT('deit_tiny_patch16_224', img_size=64)
    whole.init_cfg = stored({k: v for k, v in whole.vit.state_dict().items() if k != 'pos_embed'}, tmp_path)
    # many tensors, and none of them says where
    with fails('partial-checkpoint', "149 of 150.*'pos_embed'"):
        whole.init_weights()
    model.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'none.pth'))
    with pytest.raises(UserError, match='none.pth'):
        model.init_weights()


# -- stage 1 ---------------------------------------------------------------------------------------------------------------


def images(n=4, size=(32, 32), seed=0):
    """A batch without a single label."""
    random = torch.Generator().manual_seed(seed)
    return dict(
        inputs=[torch.randint(256, (3, *size), generator=random, dtype=torch.uint8) for _ in range(n)],
        data_samples=[SegDataSample(metainfo=dict(img_shape=size)) for _ in range(n)],
    )


def test_stage_1_needs_no_label_and_trains_all_but_the_teacher():
    model = build(stage1())
    own = losses(model, images())
    assert list(own) == ['loss_feat', 'loss_mask', 'loss_cls']
    model.parse_losses(own)[0].backward()
    assert all(p.grad is not None for p in model.parameters()) and model.methods[0].mask_token.grad.abs().max() > 0
    assert model.student.vit.norm.weight.grad.abs().max() > 0 and all(p.grad is None for p in model.teachers['teacher'].parameters())
    head = model.methods[0].qsd_cls
    assert head.query.weight.grad.abs().max() == 0 and head.value.weight.grad.abs().max() > 0


def test_the_second_pass_is_the_masked_view():
    model = build(stage1())
    data = model.data_preprocessor(images(), True)
    torch.manual_seed(5)
    mask = random_patch_mask(4, 16)
    with torch.no_grad():
        nn.init.normal_(model.methods[0].mask_token)
        want = model.student.forward_tokens(data['inputs'], mask, model.methods[0].mask_token)[1]
        torch.manual_seed(5)
        found = model._second_pass(model.wires[0], model.wires[0].again, data['inputs'])['patches']
    assert torch.equal(found, want) and not model.student.vit.patch_embed._forward_hooks
    passes = []
    for mask_weight in (1, 0):
        other, seen = build(stage1(method=dict(METHOD, mask_weight=mask_weight))), []
        other.student.vit.blocks[0].register_forward_hook(lambda *_, seen=seen: seen.append(1))
        losses(other, images())
        passes.append(len(seen))
    assert passes == [2, 1]  # without the mask one pass is enough


def test_toy_stage_1_learns():
    model = build(stage1())
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    data = model.data_preprocessor(images(), True)
    first = None
    for _ in range(300):
        own = model(**data, mode='loss')
        optimizer.zero_grad()
        sum(own.values()).backward()
        optimizer.step()
        last = {k: v.item() for k, v in own.items()}
        first = first or last
    assert last['loss_feat'] < 0.5 * first['loss_feat'] and last['loss_mask'] > last['loss_feat'] and last['loss_cls'] < 0.05


def test_other_networks_than_vits():
    """Maps count as tokens, their mean as a class token, and a hierarchical transformer's patch embedding is found."""
    model = build(
        dict(
            type='vkd.Distiller',
            student=segmentor(8),
            teacher=segmentor(16),
            methods=[dict(type='GKD', student='backbone[1]', teacher='backbone[1]')],
        )
    )
    assert model.methods[0].embed == 'backbone.layers.0.0[0]' and model.methods[0].mask_token.shape == (8,)
    assert {'loss_feat', 'loss_mask', 'loss_cls'} <= set(losses(model, batch()))


def test_bad_input_of_the_method():
    for build_it, match in (
        (lambda: build(stage1(teacher=vit(32, patch_size=16))), '16 tokens.*of 4'),
        (lambda: build(stage1(method=dict(METHOD, student_cls='patches'))), 'patches.*class token'),
        (lambda: build(stage1(method=dict(METHOD, mask_ratio=1.5))), '1.5'),
        (lambda: build(stage1(method=dict(METHOD, feat_weight=0, mask_weight=0, cls_weight=0))), 'all three'),
        (lambda: build(stage1(method=dict(METHOD, student='patch'))), 'nearest'),
        (lambda: build(stage1(method=dict(METHOD, embed='in:vit.patch_embed'))), 'in:vit'),
        (lambda: build(stage1(student=vit(16, frozen=True))), 'frozen=True'),
        (lambda: losses(build(stage1()), images(1)), 'batch of 1'),
    ):
        with pytest.raises(UserError, match=match) as error:
            build_it()
        assert '\n' not in str(error.value)
    assert losses(build(stage1(method=dict(METHOD, mask_weight=0))), images(1))
    unmasked = build(stage1(method=dict(METHOD, mask_probability=0)))
    total(unmasked, images(1)).backward()
    assert unmasked.methods[0].mask_token.grad.abs().max() == 0  # zero, not missing: other processes wait for it
    model = build(stage1(teacher=vit(32), student=vit(16)))
    with pytest.raises(UserError, match='grid'):
        model.methods[0](
            dict(patches=torch.zeros(2, 16, 16), cls=torch.zeros(2, 16)),
            dict(patches=torch.zeros(2, 9, 32), cls=torch.zeros(2, 32)),
            {},
            None,
        )


# -- stage 2 ---------------------------------------------------------------------------------------------------------------
def decoder(checkpoint=None, classes=19, **more):
    init = {} if checkpoint is None else dict(init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint)))
    return dict(
        segmentor(8, classes),
        backbone=vit(16, depth=4, out_indices=(0, 1, 2, 3), pyramid=True, **init, **more),
        decode_head=dict(segmentor(8, classes)['decode_head'], in_channels=[16] * 4),
    )


def checksum(module):
    return hashlib.sha256(b''.join(v.numpy().tobytes() for v in module.state_dict().values())).hexdigest()


def test_stage_2_trains_the_decoder_alone(tmp_path):
    first = build(stage1(student=vit(16, depth=4)))
    torch.save(dict(state_dict=first.state_dict()), tmp_path / 'stage1.pth')
    model = build(dict(type='vkd.Distiller', student=decoder(tmp_path / 'stage1.pth', frozen=True), methods=[]))
    encoder = model.student.backbone
    assert encoder.report['share'] == 1 and all(
        torch.equal(a, b) for a, b in zip(encoder.vit.state_dict().values(), first.student.vit.state_dict().values(), strict=False)
    )
    wrapper = build_optim_wrapper(
        model,
        dict(
            constructor='vkd.TrainedOnly', optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.05), paramwise_cfg=dict(norm_decay_mult=0.0)
        ),
    )
    held = {id(p) for group in wrapper.optimizer.param_groups for p in group['params']}
    assert held == {id(p) for p in model.student.decode_head.parameters()}
    before, head = checksum(encoder), checksum(model.student.decode_head)
    for i in range(20):
        model.train()
        model.train_step(batch(size=(32, 64), classes=19, seed=i), wrapper)
    assert checksum(encoder) == before and checksum(model.student.decode_head) != head
    assert (
        not any(m.training for m in encoder.modules())
        and model.student.decode_head.training
        and not any(p.requires_grad for p in encoder.parameters())
    )
    assert model.eval()(torch.randn(1, 3, 64, 64)).shape[1] == 19
    with pytest.raises(UserError, match='no parameter'):
        build_optim_wrapper(encoder, dict(constructor='vkd.TrainedOnly', optimizer=dict(type='SGD', lr=1.0)))


def test_stage_2_refuses_what_is_no_encoder(tmp_path):
    other = build(stage1(student=vit(16, depth=1)))
    for state in (other.state_dict(), {k: v for k, v in other.state_dict().items() if k.startswith('methods.')}):
        torch.save(dict(state_dict=state), tmp_path / 'other.pth')
        with pytest.raises(UserError, match='other.pth.*of its release'):
            build(dict(type='vkd.Distiller', student=decoder(tmp_path / 'other.pth', frozen=True), methods=[]))


@pytest.mark.slow
def test_stage_2_killed_and_resumed_ends_in_the_same_weights(tmp_path):
    torch.save(dict(state_dict=build(stage1(student=vit(16, depth=4))).state_dict()), tmp_path / 'stage1.pth')

    def cfg(folder):
        model = dict(type='vkd.Distiller', student=decoder(tmp_path / 'stage1.pth', classes=9, frozen=True), methods=[])
        return config(
            model,
            tmp_path / folder,
            iters=4,
            interval=2,
            optim_wrapper=dict(constructor='vkd.TrainedOnly', type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)),
        )

    _, again = killed_and_resumed(cfg, tmp_path, 3)
    pristine = cfg('cut')
    first = load_weights(str(tmp_path / 'stage1.pth'))
    assert all(torch.equal(v, first[f'student.{k}']) for k, v in again.model.student.backbone.state_dict().items())
    # exported, it stands in a plain mmseg config that asks for no stage before it
    found = export(pristine, tmp_path / 'cut/iter_4.pth', tmp_path / 'out')
    plain = Config.fromfile(tmp_path / f'out/{found["name"]}.py')
    assert found['needs_vkd'] and 'stage1.pth' not in plain.pretty_text
    alone, x = build(plain.model, seed=7), torch.randn(1, 3, 32, 64)
    alone.load_state_dict(load_weights(str(tmp_path / f'out/{found["name"]}.pth')), strict=True)
    with torch.no_grad():
        # the run was laid out channels last
        torch.testing.assert_close(alone.eval()(x), again.model.student.eval()(x), rtol=1e-4, atol=1e-5)


# -- the frozen encoder's features, kept -----------------------------------------------------------------------------------
def frozen(**more):
    return dict(type='vkd.Distiller', student=decoder(classes=9, frozen=True, **more), methods=[])


def cached(folder, model=None, hooks=({},), **more):
    cfg = config(
        model or frozen(),
        folder,
        iters=8,
        interval=4,
        optim_wrapper=dict(constructor='vkd.TrainedOnly', type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)),
        **more,
    )
    cfg.custom_hooks = [*cfg.custom_hooks, *(dict(type='vkd.FeatureCache', **options) for options in hooks)]
    return cfg


@pytest.fixture
def encoded(monkeypatch):
    """How many images each pass through an encoder in training had."""
    seen, real = [], TimmViT._run
    monkeypatch.setattr(
        TimmViT,
        '_run',
        lambda self, x, *a, **k: (
            seen.append(len(x)) if torch.is_grad_enabled() or self.cache and self.cache.keys else None,
            real(self, x, *a, **k),
        )[1],
    )
    return seen


def test_kept_features_train_the_same_decoder(tmp_path, encoded):
    runs, work = {}, {}
    for name, hooks in (('plain', ()), ('kept', [{}]), ('small', [dict(gib=1e-9)])):
        runs[name] = build_runner(cached(tmp_path / name, hooks=hooks))
        encoded.clear()
        runs[name].train()
        work[name] = sum(encoded)
    states = {name: runner.model.state_dict() for name, runner in runs.items()}
    for a, b, c in zip(*(s.values() for s in states.values()), strict=False):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
        assert torch.equal(b, c)  # what is kept is what would be computed
    assert work['small'] == 8 * 2 and 8 < work['kept'] <= 15  # of 8 images, flipped or not, in 8 batches of two
    assert all(r.model.student.backbone.cache is None for r in runs.values())


@pytest.mark.slow
def test_kept_features_and_a_kill(tmp_path):
    killed_and_resumed(lambda name: cached(tmp_path / name), tmp_path, 6)


def test_views_are_told_apart():
    model, cache = build(frozen()), FeatureCache()
    cache.attach(model)
    encoder, random = model.student.backbone, torch.Generator().manual_seed(0)
    image = torch.randint(256, (3, 32, 48), generator=random, dtype=torch.uint8)

    def maps(*images, size=(32, 48)):
        cache.before_train_iter(None, 0, dict(inputs=list(images)))
        x = nn.functional.pad(torch.stack(images).float(), (0, size[1] - 48, 0, size[0] - 32))
        out = encoder(x)
        cache.after_train_iter(None, 0)
        assert all(torch.equal(a[:1], b) for a, b in zip(out, encoder(x[:1]), strict=False))  # outside a step nothing is looked up
        return out

    first = maps(image, image.flip(-1))
    assert len(cache.kept) == 2 and cache.used == sum(y.nbytes for kept in cache.kept.values() for y in kept) == 2 * 4 * 16 * 4 * 6 * 4
    assert all(torch.equal(a, b) for a, b in zip(first, maps(image, image.flip(-1)), strict=False)) and len(cache.kept) == 2
    maps(image, size=(32, 64))
    assert len(cache.kept) == 3  # padded otherwise, it is another image
    with torch.no_grad():
        encoder.vit.blocks[0].mlp.fc1.weight.mul_(2)  # adding to it would change nothing: what comes in sums to zero
    assert not torch.equal(maps(image)[1], first[1][:1]) and len(cache.kept) == 1  # of another encoder


def test_what_cannot_be_kept(tmp_path):
    crops = config(frozen(), tmp_path / 'x').train_dataloader.dataset.pipeline
    crops.insert(1, dict(type='PhotoMetricDistortion'))
    with pytest.raises(UserError, match='8 draws of the first training image [78] differ'):
        build_runner(cached(tmp_path / 'crops', train_dataloader=dict(dataset=dict(pipeline=crops)))).train()
    kl = dict(type='KL', student='decode_head.conv_seg', teacher='decode_head.conv_seg')
    mse = dict(type='FeatureKD', student='backbone[0]', teacher='backbone[0]')
    for model, match in (
        (dict(frozen(), student=decoder(classes=9)), 'no frozen TimmViT'),
        (dict(type='vkd.Distiller', student=segmentor(8), methods=[]), 'no frozen TimmViT'),
        (
            dict(frozen(), teacher=vit(32), methods=[dict(mse, student='backbone.patches', teacher='patches')]),
            "'backbone.patches' is read inside",
        ),
        (
            dict(frozen(), teacher=decoder(classes=9), methods=[kl, dict(mse, student='backbone.vit.blocks.1')]),
            "'backbone.vit.blocks.1' is read inside",
        ),
        (dict(frozen(), data_preprocessor=dict(PREPROCESSOR, batch_augments=[])), None),
    ):
        model = build(model)
        if match is None:
            model.data_preprocessor.batch_augments, match = nn.Identity(), 'batch_augments'
        with pytest.raises(UserError, match=match) as error:
            FeatureCache().attach(model)
        assert '\n' not in str(error.value)
    FeatureCache().attach(build(dict(frozen(), teacher=decoder(classes=9), methods=[kl, mse])))


@pytest.mark.parametrize('installed, told', [((), 'and mmdet cannot be found'), (('mmdet',), "mmcv's compiled operators cannot be found")])
def test_mask2former_without_its_packages_is_refused_before_any_stage(installed, told, chain, tmp_path, monkeypatch):
    """By the network, and by a suite before the stages that lead to it."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        'find_spec',
        lambda name, *a: (
            (object() if name in installed else None) if name.split('.')[0] == 'mmdet' or name == 'mmcv._ext' else real(name, *a)
        ),
    )
    path = chain()
    last = tmp_path / 'alone_small-gkd_quick_scenes.py'
    last.write_text(last.read_text().replace('SegformerHead', 'Mask2FormerHead'))
    for ask in (
        lambda: build(load_config(ROOT / 'configs/gkd/alone_deit-s-gkd-mask2former_stage2_gtav-dg-512x512.py').model),
        lambda: build(dict(type='mmdet.DETR')),
        lambda: read_suite(path, tmp_path / 'w'),
    ):
        with pytest.raises(UserError, match=told) as error:
            ask()
        assert 'SegformerHead' in str(error.value) and '\n' not in str(error.value)
    check_packages(dict(type='EncoderDecoder', decode_head=[dict(type='SegformerHead')]))


@pytest.mark.parametrize(
    'protocol, steps, want',
    [
        ('gkd_stage1b_paper', 300, {0: 1.25e-4, 150: 6.75e-5, 299: 1.0003e-5}),
        ('gkd_stage2_paper', 40000, {0: 1e-4, 10000: 7.7189e-5, 20000: 5.3589e-5, 39999: 7.2e-9}),
    ],
)
def test_learning_rates(protocol, steps, want):
    """Those of the specification; the cosine goes by iterations here, so its 300 epochs are asked for as 300 steps."""
    cfg = Config.fromfile(ROOT / f'configs/_base_/protocols/{protocol}.py')
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=cfg.optim_wrapper.optimizer.lr)
    scheduler = PARAM_SCHEDULERS.build(dict(cfg.param_scheduler[0], end=steps), default_args=dict(optimizer=optimizer))
    found = {}
    for step in range(steps):
        if step in want:
            found[step] = optimizer.param_groups[0]['lr']
        optimizer.step()
        scheduler.step()
    assert found == pytest.approx(want, rel=1e-3, abs=1e-8)  # mmengine's poly reaches 0 at the last step, where torch's has 7.2e-9 left


def test_joint_variant():
    """Task and distillation at once: the same taps, on the segmentor's own encoder; every parameter has a gradient."""
    method = dict(METHOD, student='backbone.patches', student_cls='backbone.cls')
    model = build(dict(type='vkd.Distiller', student=decoder(classes=9), teacher=vit(32), methods=[method]))
    own = losses(model, batch())
    assert {'loss_feat', 'loss_mask', 'loss_cls', 'decode.loss_ce'} <= set(own)
    model.parse_losses(own)[0].backward()
    assert all(p.grad is not None for p in model.parameters())
    alone = build(dict(type='vkd.Distiller', student=decoder(classes=9), methods=[]))
    total(alone, batch()).backward()  # a norm that nothing reads is not trained
    assert (
        all(p.grad is not None for p in alone.parameters() if p.requires_grad) and not alone.student.backbone.vit.norm.weight.requires_grad
    )
    shallow = build(vit(depth=4, out_indices=(0, 2)))
    # nor is a block that nothing reads
    assert [all(p.requires_grad for p in block.parameters()) for block in shallow.vit.blocks] == [True, True, True, False]


@pytest.mark.parametrize('method', [METHOD, dict(type='FeatureKD', student='backbone.patches', teacher='patches', loss='mse')])
def test_the_readouts_need_no_option(method):
    """``tokens`` of older configs changes nothing: the tap alone has the tokens computed, and what leads to them trained."""
    method = dict(method, student='backbone.patches', **(dict(student_cls='backbone.cls') if method['type'] == 'GKD' else {}))
    found = []
    for options in ({}, dict(tokens=True), dict(tokens=False)):
        model = build(dict(type='vkd.Distiller', student=decoder(classes=9, **options), teacher=vit(32), methods=[method]))
        torch.manual_seed(3)
        own = losses(model, batch())
        model.parse_losses(own)[0].backward()
        found.append((own, model.state_dict(), {name: p.grad for name, p in model.named_parameters() if p.requires_grad}))
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=False):
            assert list(one) == list(same)
            for key, value in one.items():
                torch.testing.assert_close(value, same[key], rtol=0, atol=0)
    assert found[0][2]['student.backbone.vit.norm.weight'].abs().max() > 0
    alone = build(dict(type='vkd.Distiller', student=decoder(classes=9, tokens=True), methods=[])).student.backbone
    assert not alone.to_the_end and not alone.vit.norm.weight.requires_grad


def test_a_tap_trains_what_leads_to_it_and_nothing_that_is_frozen():
    def learning(encoder):
        return [all(p.requires_grad for p in part.parameters()) for part in (*encoder.vit.blocks[-2:], encoder.vit.norm)]

    own = dict(student='backbone.patches', teacher='backbone.patches')
    model = build(dict(type='vkd.Distiller', student=decoder(classes=9), teacher=decoder(classes=9), methods=[dict(type='FitNet', **own)]))
    student, teacher = (network.backbone for network in model.networks.values())
    assert student.to_the_end and teacher.to_the_end and learning(student) == [True] * 3 and learning(teacher) == [False] * 3
    shallow = build(vit(depth=4, out_indices=(0, 2)))
    image = torch.randn(1, 3, 32, 32)
    maps = shallow(image)
    copied = copy.deepcopy(shallow)
    reader = TapReader(copied, ['cls', 'patches'])
    assert learning(shallow) == [True, False, False] and learning(copied) == [True] * 3  # a copy's tap is the copy's alone
    result, seen = reader.read(lambda: copied(image))
    assert all(torch.equal(a, b) for a, b in zip(result, maps, strict=False))
    cls, patches = shallow.forward_tokens(image)
    assert torch.equal(seen['cls'], cls) and torch.equal(seen['patches'], patches)
    with pytest.raises(UserError, match='never ran'):  # nothing says to the network that a bare hook reads it
        copied.to_the_end = False
        reader.read(lambda: copied(image))


def test_activation_checkpointing_gives_the_same_gradient():
    grads = []
    for with_cp in (False, True):
        model = build(vit(16, with_cp=with_cp))
        model(torch.ones(2, 3, 32, 32))[1].square().sum().backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*grads)


def test_the_teacher_is_the_same_network_under_a_release_name():
    """timm's own state dict is a checkpoint too, as a teacher's role gives it."""
    source = timm.create_model('deit_tiny_patch16_224', depth=2)
    model = small('deit_tiny_patch16_224')
    model.load_state_dict({f'vit.{k}': v for k, v in source.state_dict().items() if not k.startswith('head')})
    x = torch.randn(1, 3, 224, 224)
    assert torch.equal(model.eval()(x)[0], source.eval().forward_features(x)[:, 0])


def test_a_step_is_as_one_without_hooks():
    """Copied networks and a hand-written step give the same student after one update."""
    model = build(stage1())
    student, method, teacher = copy.deepcopy(model.student), copy.deepcopy(model.methods[0]), model.teachers['teacher']
    torch.manual_seed(9)
    model.train_step(images(), OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)))
    torch.manual_seed(9)
    x = model.data_preprocessor(images(), True)['inputs']
    with torch.no_grad():
        c_t, v_t = teacher(x)
    c_s, v_s = student(x)
    hidden = student.forward_tokens(x, random_patch_mask(4, 16), method.mask_token)[1]
    cls = method.qsd_cls(c_s[:, None], c_t[:, None])
    loss = (
        feature_loss(method.qsd_feat(v_s, v_t), v_t, cls, c_t[:, None])
        + token_loss(method.qsd_mask(hidden, v_t), v_t)
        + token_loss(cls, c_t[:, None])
    )
    optimizer = torch.optim.SGD([*student.parameters(), *method.parameters()], lr=0.1)
    loss.backward()
    optimizer.step()
    for a, b in zip(student.parameters(), model.student.parameters(), strict=False):
        torch.testing.assert_close(a, b)


# -- the chain -------------------------------------------------------------------------------------------------------------
CHAIN = '''
title = 'Chain'
stages = {{'1a': dict(config='{folder}/gkd_small_big_1a_images.py', seed=0{more}),
          '1b': dict(config='{folder}/gkd_small_big_1b_images.py', after={{'model.student.init_cfg.checkpoint': '1a'}})}}
runs = [dict(method='alone', student='small', config='{folder}/alone_small_quick_scenes.py', seeds=[0, 1]),
        dict(method='alone', label='GKD', student='small', config='{folder}/alone_small-gkd_quick_scenes.py', after={{'model.student.backbone.init_cfg.checkpoint': '1b'}}, seeds=[0, 1])]
'''


@pytest.fixture
def chain(tmp_path):
    free = dict(val_dataloader=None, val_evaluator=None, val_cfg=None, test_dataloader=None, test_evaluator=None, test_cfg=None)
    for name in ('1a', '1b'):
        cfg = config(
            stage1(student=vit(16, depth=4, init_cfg=dict(type='Pretrained', checkpoint='of a stage') if name == '1b' else None)),
            tmp_path / f'gkd_small_big_{name}_images',
            iters=2,
            interval=1,
        )
        Config({**cfg.to_dict(), **free}).dump(tmp_path / f'gkd_small_big_{name}_images.py')
    config(dict(type='vkd.Distiller', student=decoder(classes=9), methods=[]), tmp_path / 'alone_small_quick_scenes', iters=2, interval=1)
    config(
        dict(type='vkd.Distiller', student=decoder('of a stage', classes=9, frozen=True), methods=[]),
        tmp_path / 'alone_small-gkd_quick_scenes',
        iters=2,
        interval=1,
    )

    def write(more='', name='chain'):
        path = tmp_path / f'{name}.py'
        path.write_text(CHAIN.format(folder=tmp_path, more=more))
        return path

    return write


class Here:
    """Runs the cells of a suite one after the other, in this process."""

    jobs, patience, where = 1, 0, 'here'

    def __init__(self, folder):
        self.folder, self.started = folder, []

    def start(self, cells):
        (cell,) = cells
        self.started.append(cell.name)
        run_cell(cell, self.folder, log=False)
        return [0]

    def finished(self, code):
        return code


@pytest.mark.slow
def test_a_suite_runs_the_chain_once_and_goes_on_where_it_was_killed(chain, tmp_path, monkeypatch):
    folder = tmp_path / 'work'
    _, cells = read_suite(chain(), folder)
    names = [c.name for c in cells]
    stages = ['stage_1a_1a_images_seed0', 'stage_1b_1b_images_seed0', 'stage_1b_1b_images_seed1']
    assert (
        [n for n in names if n.startswith('stage')] == stages
        and len(names) == 7
        and cells[names.index('gkd_small_quick_scenes_seed1')].after == ('stage_1b_1b_images_seed1',)
    )
    wanted = [c for c in cells if 'seed1' in c.name and 'alone' not in c.name or '1a' in c.name]
    engine = Here(folder)
    assert run_cells(wanted, folder, engine, 0, lambda line: None) == [] and engine.started == [
        'stage_1a_1a_images_seed0',
        'stage_1b_1b_images_seed1',
        'gkd_small_quick_scenes_seed1',
    ]
    assert all(status(folder, c) == 'done' for c in wanted)
    last, first = (load_weights(str(folder / n / 'iter_2.pth')) for n in ('gkd_small_quick_scenes_seed1', 'stage_1b_1b_images_seed1'))
    assert all(torch.equal(v, last[k.replace('student.', 'student.backbone.', 1)]) for k, v in first.items() if k.startswith('student.'))
    again = Here(folder)
    assert run_cells(wanted, folder, again, 0, lambda line: None) == [] and again.started == []
    # killed in the last iteration of each stage, and started again each time
    cut, real = tmp_path / 'cut', vkd.runs.run.build_runner
    died = []

    def once(cfg, work, *args):
        runner = real(cfg, work, *args)
        if work not in died:
            died.append(work)
            runner.register_hook(Power(2))
        return runner

    monkeypatch.setattr(vkd.runs.run, 'build_runner', once)
    wanted = [c for c in read_suite(chain(), cut)[1] if c.name in engine.started]
    for i in range(4):
        with pytest.raises(InterruptedError) if i < 3 else nullcontext():
            assert run_cells(wanted, cut, Here(cut), 0, lambda line: None) == []
    assert [p.name for p in died] == engine.started
    for name in engine.started:
        a, b = (load_weights(str(f / name / 'iter_2.pth')) for f in (folder, cut))
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    assert {r.run for r in read_runs(folder)[0]} == {'gkd_small_quick_scenes_seed1'}  # a stage has no score to show


def test_what_a_changed_stage_makes_stale(chain, tmp_path):
    def prints(path, work):
        return {c.name: c.fingerprint for c in read_suite(path, work)[1]}

    a, b = prints(chain(), tmp_path / 'w'), prints(chain(), tmp_path / 'v')
    c = prints(chain(", options={'model.methods.0.mask_weight': 2.}", 'other'), tmp_path / 'w')
    assert a == b and {n for n in a if a[n] != c[n]} == {n for n in a if n.startswith(('stage', 'gkd'))}
    cells = [c for c in read_suite(chain(), tmp_path / 'w')[1] if c.name.startswith('gkd')]
    assert len({experiment_fingerprint(c.load()) for c in cells}) == 1 and len({c.fingerprint for c in cells}) == 2


@pytest.mark.parametrize('text, told', [("'1b'}, seeds", "stage '1c'"), ("seed=0", "1b after 1a after 1b")])
def test_wrong_chains(chain, tmp_path, text, told):
    path = chain(", after={'model.student.init_cfg.checkpoint': '1b'}" if 'after 1a' in told else '')
    if 'stage' in told:
        path.write_text(path.read_text().replace(text, text.replace('1b', '1c')))
    with pytest.raises(UserError, match=told):
        read_suite(path, tmp_path / 'w')
