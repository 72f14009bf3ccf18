import inspect
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import ROOT
from helpers.batches import batch, losses
from helpers.cases import method
from helpers.networks import build, distiller, segmentor
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from vkd import METHODS, UserError
from vkd.distill.align import align_size, channel_adapter, map_to_tokens, token_grid, tokens_to_map
from vkd.methods.at import at_loss, attention_map
from vkd.methods.cwd import cwd_loss
from vkd.methods.dist import dist_loss
from vkd.methods.feature import cosine_loss, mse_loss, standardize
from vkd.methods.ifvd import class_similarity, ifvd_loss
from vkd.methods.kdcl import KDCL, MODES, error_products, general, general_weights, linear, min_logit, naive
from vkd.methods.kl import kl_loss
from vkd.methods.mgd import MGD, mgd_loss

HALF = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)  # KL((3/4, 1/4) || (1/2, 1/2)) = 0.1308


def maps(*shape, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=random, requires_grad=True), torch.randn(*shape, generator=random)


def test_kl_by_hand_and_against_torch_distributions():
    student, teacher = torch.zeros(1, 2, 1, 1), torch.tensor([math.log(3.0), 0.0]).view(1, 2, 1, 1)
    assert kl_loss(student, teacher).item() == pytest.approx(HALF) == pytest.approx(0.130812, abs=1e-6)
    assert kl_loss(student, 2 * teacher, tau=2.0).item() == pytest.approx(4 * HALF)
    s, t = maps(2, 5, 3, 4)
    from torch.distributions import Categorical, kl_divergence

    wanted = kl_divergence(Categorical(logits=t.permute(0, 2, 3, 1) / 3), Categorical(logits=s.permute(0, 2, 3, 1) / 3)).mean() * 9
    torch.testing.assert_close(kl_loss(s, t, 3.0), wanted)


def test_cwd_by_hand_and_against_torch_distributions():
    student, teacher = torch.zeros(1, 1, 1, 2), torch.tensor([4 * math.log(3.0), 0.0]).view(1, 1, 1, 2)
    assert cwd_loss(student, teacher, tau=4.0).item() == pytest.approx(16 * HALF)
    s, t = maps(2, 5, 3, 4)
    from torch.distributions import Categorical, kl_divergence

    per_channel = kl_divergence(Categorical(logits=t.flatten(2) / 2), Categorical(logits=s.flatten(2) / 2))  # [B, C]
    torch.testing.assert_close(cwd_loss(s, t, 2.0), 4 * per_channel.sum(1).mean() / 5)


def test_mgd_has_configs_of_its_published_recipe_for_segmentation():
    """CWD of the logits, weight 3 and temperature 4, beside what the config of MGD alone has; nothing else differs."""
    from vkd.build.config import load_config

    alone = sorted((ROOT / 'configs/mgd').glob('mgd_*.py'))
    assert len(alone) == 7
    for file in alone:
        cfg, both = load_config(file), load_config(file.with_name(file.name.replace('mgd_', 'mgd+cwd_')))
        *first, last = both.model.pop('methods')
        assert (
            first == cfg.model.pop('methods')
            and dict(last) == dict(type='CWD', tau=4.0, loss_weight=3.0)
            and both.to_dict() == cfg.to_dict()
        )
    assert {k: v.default for k, v in inspect.signature(METHODS.get('CWD')).parameters.items() if k in ('student', 'teacher')} == dict(
        student='decode_head.conv_seg', teacher='decode_head.conv_seg'
    )


def test_the_factors_between_losses_of_mmrazor_and_these():
    """The table of docs/from_mmrazor.md: mmrazor's formulas, as its losses work them out, over ours."""
    (s, t), (b, c, h, w) = maps(2, 5, 4, 6), (2, 5, 4, 6)
    log_p, log_q = (t / 2).log_softmax(1), (s / 2).log_softmax(1)
    summed = 4 * (log_p.exp() * (log_p - log_q)).sum()
    for reduction, factor in [('batchmean', h * w), ('mean', 1 / c), ('sum', b * h * w)]:
        theirs = 4 * F.kl_div(log_q, log_p.exp(), reduction=reduction)
        torch.testing.assert_close(theirs, factor * kl_loss(s, t, 2.0))
        torch.testing.assert_close(theirs, summed / dict(batchmean=b, mean=b * c * h * w, sum=1)[reduction])
    rows = [x.reshape(-1, h * w) / 2 for x in (s, t)]
    theirs = 4 * (rows[1].softmax(1) * (rows[1].log_softmax(1) - rows[0].log_softmax(1))).sum() / (c * b)
    torch.testing.assert_close(theirs, cwd_loss(s, t, 2.0))
    attention = [F.normalize(x.pow(2).mean(1).view(b, -1)) for x in (s, t)]
    torch.testing.assert_close((attention[0] - attention[1]).pow(2).mean(), at_loss(s, t) / (h * w))
    torch.testing.assert_close(torch.nn.MSELoss(reduction='sum')(s, t) / b, mgd_loss(s, t))
    one, other = maps(1, 3, 128, 128)
    theirs = F.kl_div(one.log_softmax(1), other.softmax(1), reduction='batchmean')
    assert (theirs / kl_loss(one, other)).item() == pytest.approx(16384, rel=1e-4)
    text = (ROOT / 'docs/from_mmrazor.md').read_text(encoding='utf-8')
    assert '16,384 times' in text and re.search(r'`KLDivergence\(tau\)`, `.batchmean.`.*\*\*H W\*\*', text)


def test_at_by_hand():
    student, teacher = torch.tensor([3.0, 4.0]).view(1, 1, 1, 2), torch.ones(1, 3, 1, 2)
    torch.testing.assert_close(attention_map(student), torch.tensor([[9.0, 16.0]]) / math.sqrt(337))
    wanted = (9 / math.sqrt(337) - math.sqrt(0.5)) ** 2 + (16 / math.sqrt(337) - math.sqrt(0.5)) ** 2
    assert at_loss(student, teacher).item() == pytest.approx(wanted) == pytest.approx(0.07407, abs=1e-4)
    assert at_loss(5 * student, student).item() == pytest.approx(0, abs=1e-12)


def test_dist_against_numpy():
    s, t = maps(2, 4, 3, 5)
    a, b = (x.detach().softmax(1).permute(0, 2, 3, 1).reshape(-1, 4).double().numpy() for x in (s, t))
    inter = np.mean([np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=False)])
    intra = np.mean([np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(4)])
    assert dist_loss(s, t, beta=2.0, gamma=3.0).item() == pytest.approx(2 * (1 - inter) + 3 * (1 - intra), abs=1e-5)
    assert dist_loss(t, t).item() == pytest.approx(0, abs=1e-5)


def test_feature_losses_by_hand():
    a, b = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1), torch.tensor([0.0, 2.0]).view(1, 2, 1, 1)
    assert (
        mse_loss(a, b).item() == pytest.approx(2.5)
        and cosine_loss(a, b).item() == pytest.approx(1)
        and cosine_loss(a, 3 * a).item() == pytest.approx(0)
    )
    assert mgd_loss(torch.ones(2, 3, 2, 2), torch.zeros(2, 3, 2, 2)).item() == 12  # 24 squares over a batch of 2
    x = standardize(7 + 3 * torch.randn(4, 2, 8, 8))
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.var((0, 2, 3), unbiased=False), torch.ones(2), atol=1e-4, rtol=0)


def test_mgd_masks_places_of_all_channels():
    one = MGD('a', 'b', mask_ratio=0.75, loss_weight=1.0)
    one.setup({'a': (2, 3, 8, 8)}, {'b': (2, 3, 8, 8)})
    seen = []
    one.generator.register_forward_pre_hook(lambda m, x: seen.append(x[0]))
    one(dict(a=torch.ones(2, 3, 64, 64)), dict(b=torch.ones(2, 3, 64, 64)), {})
    assert seen[0].mean().item() == pytest.approx(0.25, abs=0.02) and torch.equal(seen[0][:, 0], seen[0][:, 2])


@pytest.mark.parametrize('loss', [kl_loss, cwd_loss, at_loss, dist_loss, mse_loss, cosine_loss, mgd_loss])
def test_gradients_reach_the_student_only_and_bf16_is_taken(loss):
    s, t = maps(2, 4, 3, 5)
    t.requires_grad_()
    loss(s, t).backward()
    assert t.grad is None and s.grad.abs().sum() > 0
    assert loss(s.detach().bfloat16(), t.detach().bfloat16()).item() == pytest.approx(loss(s, t).item(), rel=0.05)
    if loss is not mgd_loss:
        torch.autograd.gradcheck(
            lambda x: loss(x, t.detach()[:1, :, :2, :2]).double(),
            s.detach()[:1, :, :2, :2].requires_grad_(),
            eps=1e-2,
            atol=2e-2,
            rtol=5e-2,
        )


@pytest.mark.parametrize('name', [n for n in sorted(METHODS.module_dict) if 'align' in inspect.signature(METHODS.get(n)).parameters])
@pytest.mark.parametrize('align', ['student', 'teacher'])
def test_grids_and_channels_that_differ_are_aligned(name, align):
    teacher = segmentor(24)
    teacher['backbone']['strides'] = [2, 2, 2, 2]  # twice the student's grid
    own = losses(build(distiller(dict(method(name), align=align), teacher=teacher)), batch())
    assert all(torch.isfinite(v).all() for k, v in own.items() if 'loss' in k)


def test_tokens_of_an_image_that_is_no_square():
    assert token_grid(128, (32, 64)) == (8, 16) and token_grid(6, (48, 32)) == (3, 2) and token_grid(196, (224, 224)) == (14, 14)
    with pytest.raises(UserError, match='197 tokens'):
        token_grid(197, (224, 224))
    model = build(distiller(dict(type='FeatureKD', student='backbone.layers.0.0[0]', teacher='backbone[0]')))
    assert losses(model, batch(size=(32, 96)))['loss_mse'].isfinite()


def test_align():
    tokens = torch.arange(12.0).view(1, 6, 2)
    grid = tokens_to_map(tokens, (2, 3))
    assert grid.shape == (1, 2, 2, 3) and grid[0, 1].tolist() == [[1, 3, 5], [7, 9, 11]] and torch.equal(map_to_tokens(grid), tokens)
    with pytest.raises(ValueError, match='6 tokens'):
        tokens_to_map(tokens)
    s, t = align_size(
        torch.zeros(1, 2, 2, 2), torch.tensor([[0.0, 1.0], [2.0, 3.0]]).view(1, 1, 2, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    )
    assert s.shape[-2:] == (2, 2) and t.flatten().tolist() == [0, 1, 2, 3]
    assert align_size(torch.zeros(1, 2, 2, 2), torch.zeros(1, 1, 4, 4), 'teacher')[0].shape == (1, 2, 4, 4)
    assert isinstance(channel_adapter(3, 3), torch.nn.Identity) and channel_adapter(3, 3, always=True).weight.shape == (3, 3, 1, 1)


def test_tokens_of_a_square_view_beside_an_image_that_is_no_square():
    """A ViT that sees a square has a square grid, whatever the shape of the student's crop."""
    vit = dict(type='vkd.TimmViT', arch='vit_tiny_patch16_224', img_size=32, patch_size=8, options=dict(embed_dim=16, depth=1, num_heads=2))
    teacher = dict(model=vit, view=dict(mean=[100.0] * 3, std=[50.0] * 3, size=(32, 32)))
    cfg = dict(type='FeatureKD', student='backbone[0]', teacher='patches')
    model = build(distiller(cfg, teacher=teacher, probe_shape=(3, 32, 32)))
    data = model.data_preprocessor(batch(size=(64, 96)), True)
    role = model.roles['teacher']
    with torch.no_grad():
        tokens = model.teach(role, role.input(data['inputs']), None)[1]['patches']
        own, square = model.methods[0].adapter(model.student.backbone(data['inputs'])[0]), tokens_to_map(tokens)
    assert tokens.shape == (2, 16, 16) and square.shape == (2, 16, 4, 4) and own.shape == (2, 16, 16, 24)
    found = model(**data, mode='loss')['loss_mse']
    torch.testing.assert_close(found, mse_loss(*align_size(own, square)))


def test_tokens_of_a_method_between_peers_have_the_grids_of_their_own_roles():
    wide = dict(model=segmentor(16), trainable=True, view=dict(size=(64, 64)))
    tokens = dict(type='FeatureKD', student='backbone.layers.0.0[0]', teacher='backbone.layers.0.0[0]')
    model = build(
        dict(
            type='vkd.Distiller',
            student=segmentor(8),
            teachers=dict(big=segmentor(16), wide=wide),
            methods=[dict(tokens, of='student', learner='wide'), dict(tokens, of='wide'), tokens],
        )
    )
    seen = []
    for each in model.methods:
        each.register_forward_pre_hook(lambda m, args: seen.append([tuple(size) for size in args[2]['sizes']]))
    assert all(v.isfinite().all() for v in losses(model, batch(size=(32, 96))).values())
    assert seen == [[(64, 64), (32, 96)], [(32, 96), (64, 64)], [(32, 96), (32, 96)]]


ENDS = dict(student='backbone[3]', teacher='backbone[3]')


@pytest.mark.parametrize(
    'cfg, told',
    [
        (dict(type='FeatureKD', **ENDS, loss='mze'), "'mse'"),
        (dict(type='FeatureKD', **ENDS, adapter='allways'), "adapter 'allways' is unknown; nearest: 'always'"),
        (dict(type='AT', student=['backbone[1]'], teacher=['backbone[1]', 'backbone[2]']), 'give pairs'),
        *(
            (dict(type='FeatureKD', **ENDS, loss=loss, tau=2.0), f"tau is 2.0; give none with loss='{loss}'")
            for loss in ('mse', 'cos', 'at')
        ),
        *(
            (dict(type=kind, **more, align='studnet'), f"{kind}: align 'studnet' is unknown; nearest: 'student'")
            for kind, more in (
                ('KL', {}),
                ('CWD', {}),
                ('DIST', {}),
                ('AT', {}),
                ('FAKD', ENDS),
                ('MGD', ENDS),
                ('FeatureKD', ENDS),
                ('FitNet', ENDS),
            )
        ),
        *(
            (dict(type=kind, resolution='lable'), f"{kind}: resolution 'lable' is unknown; nearest: 'label'")
            for kind in ('DML', 'KDCL', 'CTCL')
        ),
        *(
            (dict(type=kind, tau=0), f'{kind}: tau is 0; give a number above 0')
            for kind in ('KL', 'CWD', 'DIST', 'DML', 'KDCL', 'CTCL', 'TransKD')
        ),
        (dict(type='FeatureKD', **ENDS, loss='kl', tau=-1), 'tau is -1'),
        (dict(type='MGD', **ENDS, mask_ratio=75), 'mask_ratio is 75'),
        (dict(type='WaveletKD', levels=0), 'levels is 0'),
        (dict(type='FAKD', student=[], teacher=[]), 'FAKD: student is'),
        (dict(type='AT', p=0), 'p is 0'),
        (dict(type='ChimeraSeg', first=2), 'first is 2'),
        (dict(type='ChimeraSeg', last=-0.1), 'last is -0.1'),
        (dict(type='ChimeraSeg', tau=0), 'ChimeraSeg: tau is 0'),
    ],
)
def test_wrong_options(cfg, told):
    """Refused at construction, before any network runs."""
    kind = cfg.pop('type')
    with pytest.raises(UserError, match=told):
        METHODS.get(kind)(**cfg)


# -- among peers -----------------------------------------------------------------------------------------------------------
def two_pixels():
    """Two peers, three classes, two pixels of classes 0 and 1: ``z [2, 1, 3, 1, 2]``."""
    a, b = [[2.0, 0, 1], [0.0, 1, 0]], [[1.0, 0, 0], [1.0, 3, 2]]
    return torch.tensor([a, b]).transpose(1, 2)[:, None, :, None], torch.tensor([[[0, 1]]])


def test_the_centre_of_a_class_is_a_float32_mean_under_autocast_too():
    random = torch.Generator().manual_seed(0)
    features, label = torch.randn(1, 8, 32, 32, generator=random), torch.randint(2, (1, 32, 32), generator=random)
    wanted = class_similarity(features, label, 2)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(class_similarity(features, label, 2), wanted)


def test_ensembles_by_hand():
    z, label = two_pixels()
    cost = torch.stack([torch.nn.functional.cross_entropy(x, label, reduction='none') for x in z])[:, 0, 0]
    assert cost.argmin(0).tolist() == [0, 1]  # log(1 + e^-2 + e^-1) against log(1 + 2 / e); log(1 + 2 / e) against log(1 + e^-2 + e^-1)
    assert naive(z, label)[0, :, 0].t().tolist() == [[2, 0, 1], [1, 3, 2]]
    # less that of the true class: (0, -2, -1) and (0, -1, -1); (-1, 0, -1) and (-2, 0, -1); of each the least
    assert min_logit(z, label)[0, :, 0].t().tolist() == [[0, -2, -1], [-2, 0, -1]]
    assert general(z, torch.tensor([0.25, 0.75]))[0, :, 0].t().tolist() == [[1.25, 0, 0.25], [0.75, 2.5, 1.5]]


@pytest.mark.parametrize('m', [2, 3])
def test_the_best_combination_is_found(m):
    """Against a search of all combinations in steps of a fiftieth."""
    random = torch.Generator().manual_seed(m)
    z, label = 2 * torch.randn(m, 1, 4, 3, 5, generator=random), torch.randint(4, (1, 3, 5), generator=random)
    own = torch.nn.functional.cross_entropy(linear(z, label, steps=40), label, reduction='none')
    shares = [
        (i / 50, j / 50, 1 - (i + j) / 50) if m == 3 else (i / 50, 1 - i / 50) for i in range(51) for j in range(51 - i if m == 3 else 1)
    ]
    every = torch.stack(
        [torch.nn.functional.cross_entropy(sum(s * x for s, x in zip(share, z, strict=False)), label, reduction='none') for share in shares]
    )
    assert (own <= every.amin(0) + (1e-4 if m == 2 else 1e-2)).all() and (own >= every.amin(0) - 0.05).all()
    for function in (naive, linear):  # never worse than any peer
        assert (
            torch.nn.functional.cross_entropy(function(z, label), label, reduction='none')
            <= torch.stack([torch.nn.functional.cross_entropy(x, label, reduction='none') for x in z]).amin(0) + 1e-5
        ).all()


def test_general_weights_by_hand():
    assert general_weights(torch.tensor([[1.0, 0], [0, 3]])).tolist() == pytest.approx([0.75, 0.25], abs=1e-3)  # inverse variances
    z, label = two_pixels()
    products = error_products(z, label, torch.tensor([[[True, False]]]))
    error = z[:, 0, :, 0, 0].softmax(1) - torch.tensor([1.0, 0, 0])
    torch.testing.assert_close(products, error @ error.t())


@pytest.mark.parametrize('mode', MODES)
def test_every_peer_learns_from_the_ensemble(mode):
    z, _ = two_pixels()
    kdcl = KDCL(mode=mode, tau=2.0)
    kdcl.ignore_index = 255
    kdcl.setup({r: {'decode_head.conv_seg': (1, 3, 1, 2)} for r in 'ab'}, ['a', 'b'])
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.tensor([[[0, 255]]])))
    own = kdcl({r: {'decode_head.conv_seg': x} for r, x in zip('ab', z, strict=False)}, dict(data_samples=[sample]))
    teacher = kdcl.eval().ensemble(z, torch.tensor([[[0, 0]]]), torch.tensor([[[True, False]]]))
    for r, x in zip('ab', z, strict=False):
        p, q = (torch.distributions.Categorical(logits=y[0, :, 0, 0] / 2) for y in (teacher, x))
        assert own[f'loss_kdcl_{r}'].item() == pytest.approx(4 * torch.distributions.kl_divergence(p, q).item(), abs=1e-6)


def test_similarity_to_the_centre_of_the_class_by_hand():
    """Two places of class 0, (1, 0) and (0, 1): centre (1/2, 1/2), cosine 1/sqrt 2; one of class 1 is its own centre; one ignored."""
    features = torch.tensor([[1.0, 0, 3, 5], [0, 1, 4, 5]]).view(1, 2, 1, 4)
    label = torch.tensor([[[0, 0, 1, 255]]])
    torch.testing.assert_close(class_similarity(features, label, 3)[0, 0], torch.tensor([0.5**0.5, 0.5**0.5, 1, 0]))
    same = torch.tensor([[1.0, 1, 1, 1]]).view(1, 1, 1, 4)  # each place is the centre: similarity 1
    assert ifvd_loss(features, same, label, 3).item() == pytest.approx(2 * (1 - 0.5**0.5) ** 2 / 3, abs=1e-6)
    assert (
        ifvd_loss(features, 7 * features, label, 3).item() == pytest.approx(0, abs=1e-12)
        and ifvd_loss(features, same, torch.full_like(label, 255), 3).item() == 0
    )
    # another grid
    assert ifvd_loss(features, same.repeat(1, 1, 2, 2), label, 3).item() == pytest.approx(2 * (1 - 0.5**0.5) ** 2 / 3, abs=1e-6)
