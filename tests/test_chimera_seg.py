"""The CLIP semantic head and selective global distillation by hand (the toys of the specification), on tiny CLIPs of random weights, and
bad input.
"""

import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import ROOT
from helpers.batches import batch, losses, total
from helpers.configs import config
from helpers.networks import CLASSES, build, clip_segmentor, distiller, segmentor, tiny_clip
from helpers.processes import in_two_processes, killed_and_resumed
from mmengine.config import Config

from vkd import UserError
from vkd.build.built import label_ids, synthetic_batch
from vkd.datasets import DemoDataset
from vkd.engine import build_runner
from vkd.export.student import Logits, export, to_onnx
from vkd.methods.chimera_seg import ChimeraSeg, global_distill_loss, info_nce, keep_count, pool_tokens, select_tokens, valid_places
from vkd.models.clip import load_clip
from vkd.models.clip_embedding import ClipEmbedding, FrozenViT, at_most, values
from vkd.models.heads.clip_semantic import TextSimilarity, mean_cross_entropy, nel_loss, set_text
from vkd.models.text_tower import LinearTextTower, fit_text_tower, label_vectors, ridge
from vkd.runs.evaluate import evaluate
from vkd.runs.run import teacher_checkpoint
from vkd.text.embeddings import save_text_embeddings, synthetic_embeddings

NAMES = list(DemoDataset.METAINFO['classes'])


@pytest.fixture(scope='module')
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp('text') / 'text.safetensors'
    save_text_embeddings(path, synthetic_embeddings(NAMES, 16))
    return str(path)


@pytest.fixture(scope='module')
def vit():
    torch.manual_seed(0)
    return load_clip('ViT-B-16-quickgelu', random=True).visual


def seen_batch(n=2, **more):
    data = batch(n, **more)
    for sample in data['data_samples']:
        label = sample.gt_sem_seg.data
        label[label >= 7] = 255
    return data


# -- the frozen end of CLIP, at real size ----------------------------------------------------------------------------------
@torch.no_grad()
def test_the_blocks_of_clip_can_be_split_anywhere(vit):
    image = torch.randn(1, 3, 224, 224)
    wanted, x = vit(image), vit._embeds(image)
    for k in (0, 1, 5, 12):
        end, y = FrozenViT(vit, k), x
        for block in vit.transformer.resblocks[: 12 - k]:
            y = block(y)
        torch.testing.assert_close(end(y)[:, 0], wanted, atol=1e-5, rtol=1e-4)


def test_counts_shapes_and_gradients_at_real_size(vit):
    found = {}
    for k, mode in ((0, 'full'), (1, 'full'), (1, 'value'), (2, 'value')):
        head = ClipEmbedding(vit, 256, k, mode)
        assert sum(p.numel() for p in head.parameters() if p.requires_grad) == 198912
        found[k] = sum(p.numel() for p in head.parameters() if not p.requires_grad)
        x = torch.randn(2, 256, 8, 8, requires_grad=True)
        y = head.train()(x)
        assert y.shape == (2, 512, 8, 8) and y.dtype == torch.float32
        torch.testing.assert_close(y.norm(dim=1), torch.ones(2, 8, 8), atol=1e-5, rtol=0)
        y[:, 0].sum().backward()
        assert x.grad.abs().sum() > 0 and all(p.grad is None for p in head.frozen.parameters()) and head.adapter.weight.grad.abs().sum() > 0
    assert found == {0: 1536 + 393216, 1: 7482624, 2: 7482624 + 7087872}


def tiny_embedding(kind='vit', channels=8, **options):
    torch.manual_seed(0)
    return ClipEmbedding(load_clip(tiny_clip(kind), random=True).visual, channels, **options).eval()


@torch.no_grad()
def test_value_mode_is_local_and_full_mode_is_not():
    x = torch.randn(1, 8, 4, 4)
    other = x.clone()
    other[..., 2, 1] += 1
    for mode, local in (('value', True), ('full', False)):
        head = tiny_embedding(attn_mode=mode)
        moved = (head(x) - head(other)).abs().sum(1)[0]
        elsewhere = torch.cat([moved.flatten()[:9], moved.flatten()[10:]])
        assert moved[2, 1] > 0 and (elsewhere == 0).all() == local and (local or (elsewhere > 0).all())
    order = torch.randperm(16)
    shuffled = x.flatten(2)[..., order].view(1, 8, 4, 4)
    torch.testing.assert_close(head(shuffled).flatten(2), head(x).flatten(2)[..., order], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_attention_over_equal_tokens_is_the_value_path():
    block = load_clip(tiny_clip(), random=True).visual.transformer.resblocks[-1]
    x = torch.randn(1, 1, 32).expand(1, 9, 32).contiguous()
    own = block.ln_1(x)
    torch.testing.assert_close(block.attn(own, own, own, need_weights=False)[0], values(block, x), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_resnet_pools_a_constant_map_by_its_values():
    visual = load_clip(tiny_clip('resnet'), random=True).visual
    visual.attnpool.positional_embedding.zero_()
    x = torch.randn(1, 256, 1, 1).expand(1, 256, 1, 1)
    constant = x.expand(1, 256, *[round((len(visual.attnpool.positional_embedding) - 1) ** 0.5)] * 2)
    torch.testing.assert_close(
        visual.attnpool(constant), visual.attnpool.c_proj(visual.attnpool.v_proj(x.flatten(1))), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize('kind', ['vit', 'resnet'])
def test_the_frozen_part_stays_as_it_was(kind):
    """In eval mode after ``train()``, unchanged by training, and not drawn anew by an init_cfg further up."""
    model = build(dict(clip_segmentor(kind=kind), init_cfg=dict(type='Normal', layer=['Linear', 'Conv2d'], std=0.01)))
    frozen = model.decode_head.embed.frozen
    torch.manual_seed(0)
    assert not any(m.training for m in frozen.modules()) and model.decode_head.embed.training
    model.decode_head.conv_seg.text.copy_(synthetic_embeddings(NAMES, 16).embeddings)
    before = {k: v.clone() for k, v in frozen.state_dict().items()}
    assert all(v.std() > 0.011 for k, v in before.items() if k.endswith('proj.weight'))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for i in range(2):
        optimizer.zero_grad()
        total(model, seen_batch(seed=i)).backward()
        optimizer.step()
    assert all(torch.equal(v, before[k]) for k, v in frozen.state_dict().items())


def test_at_most():
    sizes = {
        (h, w): tuple(at_most(torch.randn(1, 1, h, w), 4096).shape[-2:])
        for h, w in ((65, 65), (83, 83), (300, 300), (1, 10000), (10000, 1), (128, 160))
    }
    assert sizes == {
        (65, 65): (64, 64),
        (83, 83): (64, 64),
        (300, 300): (64, 64),
        (1, 10000): (1, 4096),
        (10000, 1): (4096, 1),
        (128, 160): (57, 71),
    }
    assert at_most(torch.randn(1, 2, 40, 60), 600).shape[-2:] == (20, 30) and at_most(torch.randn(1, 2, 8, 8), 64).shape[-2:] == (8, 8)
    head = tiny_embedding(max_tokens=16, test_tokens=64)
    assert head.train()(torch.randn(1, 8, 8, 8)).shape[-2:] == (4, 4) and head.eval()(torch.randn(1, 8, 8, 8)).shape[-2:] == (8, 8)


@pytest.mark.parametrize(
    'options, told',
    [
        (dict(num_blocks=4), 'num_blocks=4.*choose 0 to 3'),
        (dict(num_blocks=0, attn_mode='value'), 'needs a block'),
        (dict(attn_mode='values'), "'values' is unknown"),
    ],
)
def test_wrong_parts_of_clip(options, told):
    with pytest.raises(UserError, match=told):
        tiny_embedding(**options)


def test_a_resnet_has_fewer_blocks_and_no_value_mode():
    with pytest.raises(UserError, match='choose 0 to 2'):
        tiny_embedding('resnet', num_blocks=3)
    with pytest.raises(UserError, match="CLIP's ViTs"):
        tiny_embedding('resnet', attn_mode='value')
    with pytest.raises(UserError, match="type Linear is neither CLIP's ViT"):
        ClipEmbedding(torch.nn.Linear(2, 2), 8)


# -- semantic alignment ----------------------------------------------------------------------------------------------------
def test_semantic_alignment_over_seen_columns_by_hand():
    rows, e = torch.tensor([[1.0, 0], [0, 1], [-1, 0]]), F.normalize(torch.tensor([3.0, 4]), dim=0).view(1, 2, 1, 1)
    target = torch.tensor([[[1]]])
    logits = TextSimilarity(rows, tau=1.0)(e)
    assert logits.flatten().tolist() == pytest.approx([0.6, 0.8, -0.6], abs=1e-6)
    assert F.cross_entropy(logits, target).item() == pytest.approx(0.725289, abs=1e-6)
    assert mean_cross_entropy(logits[:, :2], target).item() == pytest.approx(0.598139, abs=1e-6)
    assert mean_cross_entropy(TextSimilarity(rows)(e)[:, :2], target).item() == pytest.approx(0.055844, abs=1e-6)
    empty = mean_cross_entropy(logits.requires_grad_()[:, :2], torch.tensor([[[255]]]))
    empty.backward()
    assert empty.item() == 0 and logits.grad.abs().sum() == 0


def test_the_factor_is_learnt_up_to_a_hundred():
    scale = TextSimilarity(torch.eye(2), tau=1e-3, learn_scale=True)
    x = torch.tensor([1.0, 0]).view(1, 2, 1, 1)
    assert (
        scale(x).flatten().tolist() == pytest.approx([100, 0])
        and scale.log_scale.requires_grad
        and not list(TextSimilarity(torch.eye(2)).parameters())
    )
    half = x.bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        assert scale(half).dtype == torch.float32


def test_nel_by_a_loop():
    torch.manual_seed(0)
    logits, target = (
        torch.randn(2, 3, 2, 4, requires_grad=True),
        torch.tensor([0, 1, 1, 255, 0, 0, 255, 1, 0, 0, 1, 1, 1, 255, 0, 0]).view(2, 2, 4),
    )
    focal, overlaps = 0, {k: [0.0, 0.0, 0.0] for k in range(3)}
    for z, t in zip(logits.movedim(1, -1).reshape(-1, 3), target.flatten().tolist(), strict=False):
        for k in range(3):
            if t != 255:
                p = 1 / (1 + math.exp(-z[k].item()))
                right = p if t == k else 1 - p
                focal -= (0.25 if t == k else 0.75) * (1 - right) ** 2 * math.log(right)
                overlaps[k] = [a + b for a, b in zip(overlaps[k], (p * (t == k), p * p, float(t == k)), strict=False)]
    dice = [1 - (2 * a + 1) / (b + c + 1) for a, b, c in overlaps.values() if c]
    assert len(dice) == 2
    own = nel_loss(logits, target)
    assert own.item() == pytest.approx(100 * focal / (13 * 3) + sum(dice) / 2, rel=1e-5)
    own.backward()
    assert (logits.grad.movedim(1, -1)[target == 255] == 0).all()


def test_seen_bias_moves_the_answer(text):
    model = build(clip_segmentor(text, unseen=(1, 3, 4, 5, 6, 7, 8), seen_bias=0.1))
    scores = torch.zeros(1, CLASSES, 1, 1)
    scores[0, :3, 0, 0] = torch.tensor([2.0, 1.95, 0.5])
    meta = [dict(img_shape=(1, 1))]
    assert scores.argmax(1).item() == 0 and model.decode_head.predict_by_feat(scores, meta).argmax(1).item() == 1


# -- the guard -------------------------------------------------------------------------------------------------------------
def test_an_unseen_label_never_trains(text, tmp_path):
    model = build(clip_segmentor(text))
    with pytest.raises(UserError, match=r'7, 8 of 9 classes; put MaskUnseenLabels\(unseen=\[7, 8\]\)'):
        losses(model, batch())
    data = seen_batch()
    data['data_samples'][0].gt_sem_seg.data[0, 0, 0] = 200  # padding of the transductive phase, and ids of no class
    with pytest.raises(UserError, match='200 of 9'):
        losses(model, data)
    # a run whose data do not mask: refused at the first step, and again when it is resumed
    cfg = config(distiller(student=clip_segmentor(text), teacher=segmentor(16)), tmp_path / 'leak')
    runner = build_runner(cfg)
    with pytest.raises(UserError, match='unseen classes'):
        runner.train()
    masked = config(distiller(student=clip_segmentor(text), teacher=segmentor(16)), tmp_path / 'kept')
    pipeline = masked.train_dataloader.dataset.pipeline
    pipeline.insert(1, dict(type='vkd.MaskUnseenLabels', unseen=[7, 8]))
    build_runner(masked).train()
    masked.train_dataloader.dataset.pipeline.pop(1)
    masked.train_cfg.max_iters = 8
    again = build_runner(masked, tmp_path / 'kept', resume=True)
    with pytest.raises(UserError, match='unseen classes'):
        again.train()


def test_no_gradient_tells_unseen_classes_apart(text):
    """Training is blind to the rows of unseen classes: other rows there, the same loss and gradients."""
    found = []
    for seed in (0, 1):
        model = build(clip_segmentor(text))
        model.decode_head.conv_seg.text[[7, 8]] = synthetic_embeddings(['a', 'b'], 16, seed=seed + 5).embeddings
        loss = total(model, seen_batch())
        loss.backward()
        found.append((loss.item(), [p.grad for p in model.parameters() if p.grad is not None]))
    assert found[0][0] == found[1][0] and all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=False))


def test_self_training_leaves_padding_out(text):
    model = build(clip_segmentor(text, self_training=True))
    data = seen_batch()
    logits = torch.randn(2, CLASSES, 32, 64, requires_grad=True)
    for sample in data['data_samples']:
        sample.gt_sem_seg.data[:, :4] = 200
    label = torch.stack([s.gt_sem_seg.data[0] for s in data['data_samples']]).long()
    own = model.decode_head.loss_by_feat(logits, data['data_samples'])['loss_sam']
    wanted = label.clone()
    wanted[label == 255] = (logits[:, 7:].argmax(1) + 7)[label == 255]
    wanted[label == 200] = 255
    assert own.item() == pytest.approx(F.cross_entropy(logits, wanted, ignore_index=255).item(), rel=1e-5)
    own.backward()
    assert (logits.grad.movedim(1, -1)[label == 200] == 0).all() and (logits.grad.movedim(1, -1)[label == 255].abs().sum(1) > 0).all()
    data['data_samples'][0].gt_sem_seg.data[0, 0, 0] = 8
    with pytest.raises(UserError, match='unseen'):
        model.decode_head.loss_by_feat(logits, data['data_samples'])
    with pytest.raises(UserError, match='0 are unseen'):
        build(clip_segmentor(text, unseen=(), self_training=True))


def test_wholly_ignored_labels_are_finite(text):
    model = build(clip_segmentor(text, nel_weight=1.0))
    data = seen_batch()
    for sample in data['data_samples']:
        sample.gt_sem_seg.data.fill_(255)
    own = losses(model, data)
    assert own['decode.loss_sam'] == 0 and torch.isfinite(own['decode.loss_nel'])


# -- selection and schedule ------------------------------------------------------------------------------------------------
TOKENS, CLS = torch.tensor([[[1.0, 0], [0.6, 0.8], [0, 1], [-1, 0]]]), torch.tensor([[1.0, 0]])


@pytest.mark.parametrize(
    'n, cosine, g', [(4, 0.85, (0.316228, 0.948683)), (3, 0.466667, (0.664364, 0.747409)), (2, 0.2, (0.894427, 0.447214)), (1, 0.0, (1, 0))]
)
def test_selection_by_hand(n, cosine, g):
    assert global_distill_loss(TOKENS, CLS, n, 'cosine')[0].item() == pytest.approx(cosine, abs=1e-6)
    index, kept = select_tokens(torch.tensor([[1.0, 0.6, 0, -1]]), n)
    assert index.tolist() == [list(range(n))] and kept.all()
    pooled = pool_tokens(TOKENS[:, :n], CLS, kept)
    assert pooled[0].tolist() == pytest.approx(g, abs=1e-6)


def test_attention_pool_by_hand():
    kept = torch.ones(1, 4, dtype=torch.bool)
    own = pool_tokens(TOKENS, CLS, kept, 'attn')
    assert own[0].tolist() == pytest.approx(F.normalize(torch.tensor([0.485603, 0.440184]), dim=0).tolist(), abs=1e-6)
    kept[0, 3] = False
    assert torch.equal(pool_tokens(TOKENS, CLS, kept, 'attn'), pool_tokens(TOKENS[:, :3], CLS, kept[:, :3], 'attn'))


def test_info_nce_by_hand():
    g, s = torch.tensor([[0.8, 0.6], [0.6, 0.8]]), torch.eye(2)
    own = torch.arange(2)
    assert info_nce(g, s, own, 1.0).item() == pytest.approx(0.598139, abs=1e-6) and info_nce(g, s, own).item() == pytest.approx(
        0.055844, abs=1e-6
    )
    more = torch.cat([s, torch.tensor([[-1.0, 0], [9, 9]])])
    assert info_nce(g, more, own, 1.0, torch.tensor([True, True, True, False])).item() == pytest.approx(0.714348, abs=1e-6)


@pytest.mark.parametrize('mode', ['cosine', 'infonce'])
def test_only_chosen_tokens_learn(mode):
    tokens = TOKENS.repeat(2, 1, 1).clone().requires_grad_()
    cls = torch.tensor([[1.0, 0], [0.8, 0.6]], requires_grad=True)
    global_distill_loss(tokens, cls, 2, mode)[0].backward()
    moved = tokens.grad.abs().sum(2) > 0
    assert moved[0].tolist() == [True, True, False, False] and moved[1].sum() == 2 and cls.grad is None


def test_ties_go_to_the_lower_index_and_padding_is_never_chosen():
    index, _ = select_tokens(torch.tensor([[0.5] * 6]), 3)
    assert index.tolist() == [[0, 1, 2]]
    valid = torch.tensor([[True, False, True, False, False, False]])
    index, kept = select_tokens(torch.tensor([[0.1, 9, 0.2, 9, 9, 9]]), 4, valid)
    assert index[0, :2].tolist() == [2, 0] and kept.tolist() == [[True, True, False, False]]
    assert valid_places(seen_batch()['data_samples'], (4, 8), torch.zeros(2, 3, 32, 64), 'cpu') is None
    small, large = seen_batch(size=(20, 48)), seen_batch(size=(32, 64))
    mixed = {k: [large[k][0], small[k][0]] for k in small}
    model = build(dict(segmentor(), data_preprocessor=dict(type='mmseg.SegDataPreProcessor', size=(32, 64), seg_pad_val=200)))
    samples = model.data_preprocessor(mixed, True)['data_samples']  # which pads on the right and below
    assert (samples[1].gt_sem_seg.data[0, 20:] == 200).all() and (samples[1].gt_sem_seg.data[0, :, 48:] == 200).all()
    places = valid_places(samples, (4, 8), torch.zeros(2, 3, 32, 64), 'cpu').view(2, 4, 8)
    # the third row's centre, 20, is the first that is padded
    assert places[0].all() and places[1, :2, :6].all() and places[1].sum() == 2 * 6


@pytest.mark.parametrize(
    'places, schedule, wanted',
    [
        (4096, 'linear', (4096, 3727, 3174, 2253, 1331, 410, 410)),
        (1024, 'linear', (1024, 932, 794, 563, 333, 102, 102)),
        (196, 'linear', (196, 178, 152, 108, 64, 20, 20)),
        (7, 'linear', (7, 6, 5, 4, 2, 1, 1)),
        (1024, 'cosine', (1024, None, 889, 563, 237, 102, 102)),
        (10, 'step', (10, 10, 10, 1, 1, 1, 1)),
    ],
)
def test_schedule(places, schedule, wanted):
    for p, count in zip((0, 0.1, 0.25, 0.5, 0.75, 1, 1.5), wanted, strict=False):
        assert count is None or keep_count(places, p, schedule=schedule) == count
    assert keep_count(places, 1, last=0.0, least=3) == 3


# -- the method ------------------------------------------------------------------------------------------------------------
def tower(**more):
    return dict(
        model=dict(type='vkd.ClipImageTower', name=tiny_clip(), random=True, **more),
        view=dict(mean=[122.77, 116.75, 104.09], std=[68.5, 66.63, 70.32], size=(32, 32)),
    )


def clip_distiller(text, student=(), **method):
    return distiller(dict(type='ChimeraSeg', **method), student=clip_segmentor(text, **dict(student)), teacher=tower())


def test_the_view_of_clip_by_hand():
    """From mmseg's statistics to CLIP's: one affine map a channel, then bicubic to CLIP's size."""
    from mmseg.models.data_preprocessor import SegDataPreProcessor

    from vkd.distill.roles import Renormalize

    view = Config.fromfile(ROOT / 'configs/_base_/teachers/clip_vit-b-16.py').teacher.view
    source = SegDataPreProcessor(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
    x = torch.randn(1, 3, 224, 224)
    wanted = x * torch.tensor([0.852475, 0.857244, 0.815876]).view(3, 1, 1) + torch.tensor([0.013198, -0.006994, -0.008016]).view(3, 1, 1)
    torch.testing.assert_close(Renormalize(source, **view)(x), wanted, atol=2e-5, rtol=0)
    assert Renormalize(source, **view)(torch.randn(1, 3, 512, 512)).shape == (1, 3, 224, 224)


def test_it_trains_and_the_tower_is_in_no_checkpoint(text):
    torch.manual_seed(0)
    model = build(clip_distiller(text))
    assert not any('visual' in k for k in model.state_dict()) and not {id(p) for p in model.teachers['teacher'].parameters()} & {
        id(p) for p in model.parameters()
    }
    data = [seen_batch(seed=i) for i in range(4)]
    optimizer, first = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3), None
    for i in range(50):
        optimizer.zero_grad()
        own = losses(model, data[i % 4])
        model.parse_losses(own)[0].backward()
        optimizer.step()
        first = first or own['decode.loss_sam'].item()
    assert own['decode.loss_sam'].item() < first and own['tokens'] == 8 * 16
    assert model.eval().student(torch.randn(1, 3, 32, 64)).shape[1] == CLASSES
    assert all(p.grad is None for p in model.student.decode_head.embed.frozen.parameters())


@pytest.mark.parametrize(
    'options', [dict(pool='attn'), dict(mode='cosine'), dict(bank_size=3), dict(select_by='teacher'), dict(schedule='cosine', last=0.3)]
)
def test_options(text, options):
    model = build(clip_distiller(text, **options))
    own = losses(model, seen_batch())
    own['loss_sgd'].backward()
    assert (
        torch.isfinite(own['loss_sgd'])
        and model.student.decode_head.embed.adapter.weight.grad.abs().sum() > 0
        and model.student.backbone.layers[0][0].projection.weight.grad.abs().sum() > 0
    )


def test_the_bank_is_first_in_first_out_and_saved(text):
    model = build(clip_distiller(text, bank_size=3))
    seen = []
    for i in range(3):
        losses(model, seen_batch(seed=i))
        image = model.roles['teacher'].input(model.data_preprocessor(seen_batch(seed=i), True)['inputs'])
        seen.append(F.normalize(model.teachers['teacher'](image), dim=1))
    bank = model.state_dict()['methods.0.bank.vectors']
    torch.testing.assert_close(bank, torch.cat(seen)[3:], atol=1e-6, rtol=0)  # of six vectors the last three, at 3 % 3 and so on
    assert model.state_dict()['methods.0.bank.count'] == 6
    before = bank.clone()
    losses(model.eval(), seen_batch())
    assert torch.equal(model.methods[0].bank.vectors, before)


def test_one_image_falls_back_to_cosine_and_says_so_once(text, monkeypatch):
    told = []
    monkeypatch.setattr('vkd.methods.chimera_seg.print_log', lambda message, **more: told.append(message))
    model = build(clip_distiller(text))
    alone, cosine = (losses(m, seen_batch(1))['loss_sgd'] for m in (model, build(clip_distiller(text, mode='cosine'))))
    losses(model, seen_batch(1))
    assert alone.item() == pytest.approx(cosine.item(), rel=1e-6) and alone > 0 and len(told) == 1 and 'single candidate' in told[0]


def test_the_number_of_tokens_follows_the_run(text, monkeypatch):
    model = build(clip_distiller(text, last=0.25))
    found = []
    for progress in (0.0, 0.5, 1.0):
        monkeypatch.setattr('vkd.distill.distiller.progress', lambda progress=progress: dict(iter=0, progress=progress))
        own = losses(model, seen_batch())
        found.append(own['tokens'].item())
        assert (own['similarity_selected'] > own['similarity_all']) == (progress > 0)
    assert found == [128, 80, 32]


def test_places_ranked_by_the_teacher_are_those_of_its_patches(text):
    model = build(clip_distiller(text, select_by='teacher'))
    image = model.roles['teacher'].input(model.data_preprocessor(seen_batch(), True)['inputs'])
    visual, method = model.teachers['teacher'].visual, model.methods[0]
    seen = {}
    handle = visual.transformer.register_forward_hook(lambda m, a, y: seen.update(tokens=y))
    cls = F.normalize(visual(image), dim=1)
    handle.remove()
    wanted = torch.stack(
        [F.cosine_similarity(visual.ln_post(t[1:]) @ visual.proj, c[None]) for t, c in zip(seen['tokens'], cls, strict=False)]
    ).view(2, 4, 4)
    got = method._patches({'visual.transformer': seen['tokens']}, cls, (4, 4)).view(2, 4, 4)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)
    assert method._patches({'visual.transformer': seen['tokens']}, cls, (8, 16)).shape == (2, 128)


@pytest.mark.parametrize('kind', ['vit', 'resnet'])
def test_it_runs_in_bf16_and_leaves_no_parameter_without_gradient(text, kind):
    def run(context):
        model = build(clip_distiller(text, dict(kind=kind, num_blocks=2), bank_size=4))
        with context:
            loss = total(model, seen_batch())
        loss.backward()
        assert {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None} == set()
        return loss.item(), model.student.decode_head.embed.adapter.weight.grad

    (loss, gradient), (half, other) = run(torch.autocast('cpu', enabled=False)), run(torch.autocast('cpu', torch.bfloat16))
    assert half == pytest.approx(loss, rel=0.05) and F.cosine_similarity(gradient.flatten(), other.flatten(), dim=0) > 0.9


@pytest.mark.slow
def test_killed_and_resumed_the_head_and_the_bank_are_the_same(text, tmp_path):
    def cfg(name):
        own = config(clip_distiller(text, bank_size=3), tmp_path / name)
        own.train_dataloader.dataset.pipeline.insert(1, dict(type='vkd.MaskUnseenLabels', unseen=[7, 8]))
        return own

    whole, _ = killed_and_resumed(cfg, tmp_path, 5)
    assert whole.model.state_dict()['methods.0.bank.count'] == 12


def sgd_of_rank(text):
    import torch.distributed as dist

    model = build(clip_distiller(text, dict(norm='GN'), bank_size=8))  # no statistics over a process's own images
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    data = seen_batch(4)
    own = slice(rank * 2, rank * 2 + 2) if world > 1 else slice(0, 4)
    found = losses(model, {k: v[own] for k, v in data.items()})['loss_sgd'].item()
    return found, model.methods[0].bank.vectors.tolist()


@pytest.mark.slow
def test_two_processes_see_each_others_vectors(text, tmp_path):
    whole, bank = sgd_of_rank(text)
    parts = in_two_processes(sgd_of_rank, tmp_path, text)
    assert sum(v for v, _ in parts.values()) / 2 == pytest.approx(whole, rel=1e-5)
    for _, other in parts.values():
        np.testing.assert_allclose(other, bank, atol=1e-6)


@pytest.mark.parametrize(
    'options, told',
    [
        (dict(mode='contrast'), "mode 'contrast'"),
        (dict(pool='max'), "pool 'max'"),
        (dict(schedule='line'), "schedule 'line'"),
        (dict(select_by='both'), "select_by 'both'"),
    ],
)
def test_unknown_options(options, told):
    with pytest.raises(UserError, match=told):
        ChimeraSeg(**options)


def test_ranking_by_a_teacher_that_has_no_patches(text):
    for teacher, tap in (
        (segmentor(16), 'backbone[3]'),
        (dict(type='vkd.ClipImageTower', name=tiny_clip('resnet'), random=True), 'visual'),
    ):
        with pytest.raises(UserError, match="needs a ClipImageTower with a ViT.*choose 'student'"):
            build(distiller(dict(type='ChimeraSeg', student='backbone[3]', teacher=tap, select_by='teacher'), teacher=teacher))


def test_a_loaded_tower_is_reported_and_a_wrong_one_refused(text, tmp_path):
    torch.manual_seed(1)
    clip = load_clip(tiny_clip(), random=True)
    torch.save(clip.state_dict(), tmp_path / 'clip.pt')
    own = tower()
    own['model'].update(random=False, checkpoint=str(tmp_path / 'clip.pt'))
    model = build(distiller(dict(type='ChimeraSeg'), student=clip_segmentor(text), teacher=own))
    assert model.roles['teacher'].report['share'] == 1 and torch.equal(model.teachers['teacher'].visual.proj, clip.visual.proj)
    assert (
        teacher_checkpoint(own) == str(tmp_path / 'clip.pt')
        and teacher_checkpoint(dict(checkpoint='a', model={})) == 'a'
        and teacher_checkpoint({}) is None
    )


# -- other classes, export -------------------------------------------------------------------------------------------------
@pytest.fixture(scope='module')
def trained(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained') / 'zs_small_big_quick_scenes'
    cfg = config(clip_distiller(text), folder, iters=2, interval=2)
    for key in ('train_dataloader',):
        cfg[key].dataset.pipeline.insert(1, dict(type='vkd.MaskUnseenLabels', unseen=[7, 8]))
    cfg.dump(cfg.filename)
    build_runner(cfg).train()
    return Config.fromfile(cfg.filename), folder / 'iter_2.pth'


def test_other_classes_without_training(text, trained, tmp_path):
    cfg, checkpoint = trained
    model = build(clip_segmentor(text))
    scores = model.eval()(image := torch.randn(1, 3, 32, 64))
    other = synthetic_embeddings(['class 3', 'sofa'], 16, seed=4)
    other.embeddings[0] = synthetic_embeddings(NAMES, 16).embeddings[3]
    set_text(model, other, unseen=['sofa'])
    own = model(image)
    assert (
        own.shape[1] == 2 == model.out_channels == model.decode_head.num_classes
        and torch.allclose(own[:, 0], scores[:, 3], atol=1e-5)
        and model.decode_head.seen.tolist() == [0]
    )
    with pytest.raises(UserError, match='8 wide, this CLIP 16'):
        set_text(model, synthetic_embeddings(['a'], 8))
    with pytest.raises(UserError, match='no ClipSemanticHead'):
        set_text(build(segmentor()), other)
    # through the evaluation: the classes of the test set in their order, or not at all
    path = tmp_path / 'other.safetensors'
    save_text_embeddings(path, synthetic_embeddings(DemoDataset.METAINFO['classes'], 16, seed=9))
    a, b = (evaluate(Config.fromfile(cfg.filename), checkpoint, tmp_path / 'test', text=t) for t in (None, str(path)))
    assert a['images'] == b['images'] == 3 and a['IoU'] != b['IoU']
    save_text_embeddings(path, other)
    with pytest.raises(UserError, match='other.safetensors'):
        evaluate(Config.fromfile(cfg.filename), checkpoint, tmp_path / 'test', text=str(path))


def test_export_needs_no_file_of_text_or_clip(text, trained, tmp_path):
    cfg, checkpoint = trained
    content = export(cfg, checkpoint, tmp_path, onnx=True, shape=(32, 64), text_input=True)
    plain = Config.fromfile(tmp_path / f'{content["name"]}.py')
    assert (
        plain.model.decode_head.text_embeddings is None
        and plain.model.decode_head.clip == dict(name=tiny_clip(), random=True)
        and content['needs_vkd']
    )
    model = build(plain.model.to_dict(), seed=3)
    model.load_state_dict(torch.load(tmp_path / f'{content["name"]}.pth', weights_only=True)['state_dict'], strict=True)
    assert (
        torch.equal(model.decode_head.conv_seg.text, synthetic_embeddings(NAMES, 16).embeddings)
        and content['onnx']['text']
        and content['onnx']['difference'] < 1e-4
    )
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / f'{content["name"]}.onnx')
    assert [i.name for i in session.get_inputs()] == ['image', 'text']
    rows = synthetic_embeddings(list('abcdefghijklm'), 16, seed=2)
    image = torch.randn(1, 3, 32, 64)
    got = session.run(None, dict(image=image.numpy(), text=rows.embeddings.numpy()))[0]
    set_text(model.eval(), rows)
    with torch.no_grad():
        wanted = F.interpolate(model(image), size=(32, 64), mode='bilinear', align_corners=False)
    assert got.shape == (1, 13, 32, 64)
    np.testing.assert_allclose(got, wanted.numpy(), atol=1e-3)
    path = tmp_path / 'other.safetensors'
    save_text_embeddings(path, rows)
    assert content['synthetic_text']
    folded = export(Config.fromfile(cfg.filename), checkpoint, tmp_path / 'other', text=str(path))
    assert folded['classes'] == list('abcdefghijklm')
    state = torch.load(tmp_path / 'other' / f'{folded["name"]}.pth', weights_only=True)['state_dict']
    build(Config.fromfile(tmp_path / 'other' / f'{folded["name"]}.py').model.to_dict()).load_state_dict(state, strict=True)


def test_a_picture_of_any_classes(text, trained, tmp_path):
    from PIL import Image

    from vkd.visualize.text_and_masks import distinct_colours, text_picture

    cfg, checkpoint = trained
    path = tmp_path / 'other.safetensors'
    save_text_embeddings(path, synthetic_embeddings(['lion', '<b>&', 'sofa'], 16, seed=3))
    shares = text_picture(Config.fromfile(cfg.filename), checkpoint, [path], [0, 2], tmp_path / 'text.png')
    assert list(shares[str(path)]) == ['lion', '<b>&', 'sofa'] and sum(shares[str(path)].values()) == pytest.approx(1)
    seen = {tuple(c) for c in np.asarray(Image.open(tmp_path / 'text.png')).reshape(-1, 3).tolist()}
    colours = [tuple(c) for c in distinct_colours(3)[:3].tolist()]
    assert len(set(colours)) == 3 and {c for c, share in zip(colours, shares[str(path)].values(), strict=False) if share} <= seen
    with pytest.raises(UserError, match='has 3'):
        text_picture(Config.fromfile(cfg.filename), checkpoint, [path], [3], tmp_path / 'text.png')


def test_any_number_of_classes_may_be_asked_for(text):
    model = build(clip_segmentor(text)).eval()
    set_text(model, synthetic_embeddings([f'word {i}' for i in range(300)], 16))
    assert model(torch.randn(1, 3, 32, 32)).shape[1] == 300
    from vkd.visualize.text_and_masks import distinct_colours

    assert len(distinct_colours(300)) == 300


def test_the_classes_of_text_and_data_are_one_list(text, tmp_path):
    other = tmp_path / 'other.safetensors'
    save_text_embeddings(other, synthetic_embeddings(NAMES[::-1], 16))
    cfg = config(clip_distiller(str(other)), tmp_path / 'run')
    with pytest.raises(UserError, match=f"class 0 is '{NAMES[8]}' in the text and '{NAMES[0]}' in the data"):
        build_runner(cfg).train()
    from vkd.text.zero_shot import SPLITS

    names = list(SPLITS['camvid']['classes'])
    save_text_embeddings(other, synthetic_embeddings(names[::-1], 16))
    head = dict(clip_segmentor(str(other))['decode_head'], num_classes=11, unseen='camvid')
    with pytest.raises(UserError, match="in another order, than the split 'camvid'"):
        build(dict(clip_segmentor(), decode_head=head))


def test_rows_of_a_file_and_of_a_checkpoint_that_differ(text, tmp_path):
    model = build(clip_segmentor(text))
    other = tmp_path / 'other.safetensors'
    save_text_embeddings(other, synthetic_embeddings(NAMES, 16, seed=5))
    with pytest.raises(UserError, match='other rows of text'):
        build(clip_segmentor(str(other))).load_state_dict(model.state_dict())
    bare = build(clip_segmentor())
    bare.load_state_dict(model.state_dict())
    frozen = bare.decode_head.embed.frozen.proj.clone()
    bare.init_weights()  # puts nothing back over what was loaded
    assert torch.equal(bare.decode_head.embed.frozen.proj, frozen) and torch.equal(
        bare.decode_head.conv_seg.text, model.decode_head.conv_seg.text
    )


def test_text_of_another_clip(text):
    model = build(clip_segmentor(text))
    rows = synthetic_embeddings(['a', 'b'], 16)
    with pytest.raises(UserError, match="are of CLIP 'ViT-B-32'"):
        set_text(model, dataclasses.replace(rows, clip='ViT-B-32', synthetic=False))
    set_text(model, dataclasses.replace(rows, clip=tiny_clip(), synthetic=False))
    assert not model.decode_head.synthetic


def test_seen_bias_is_in_the_graph(text):
    model = build(clip_segmentor(text, seen_bias=50.0)).eval()
    image = torch.randn(1, 3, 32, 64)
    meta = [dict(img_shape=(32, 64), ori_shape=(32, 64), pad_shape=(32, 64))]
    with torch.no_grad():
        assert (
            torch.equal(Logits(model)(image), model.encode_decode(image, meta))
            and (Logits(model)(image).argmax(1) >= 7).float().mean() > 0.9
        )
    with pytest.raises(UserError, match='seen_bias to 0'):
        to_onnx(model, (32, 64), text=True)


@pytest.mark.parametrize(
    'head',
    [
        dict(type='mmseg.FCNHead', in_channels=[8] * 4, in_index=[0, 1, 2, 3], input_transform='resize_concat', channels=16, num_convs=1),
        dict(type='mmseg.UPerHead', in_channels=[8] * 4, in_index=[0, 1, 2, 3], channels=16, pool_scales=(1, 2)),
        dict(
            type='mmseg.LightHamHead',
            in_channels=[8] * 3,
            in_index=[1, 2, 3],
            channels=16,
            ham_channels=16,
            ham_kwargs=dict(MD_R=2, train_steps=2, eval_steps=2),
        ),
        dict(type='mmseg.FPNHead', in_channels=[8] * 4, in_index=[0, 1, 2, 3], feature_strides=[4, 8, 16, 32], channels=16),
    ],
)
def test_any_head_of_mmseg_gives_its_features(text, head):
    plain = clip_segmentor(text)
    model = build(
        dict(plain, decode_head=dict(plain['decode_head'], inner=dict(head, norm_cfg=dict(type='BN'), align_corners=False, num_classes=4)))
    )
    total(model, seen_batch(size=(64, 64))).backward()
    assert model.decode_head.embed.adapter.in_channels == 16 and all(
        p.grad is not None for p in model.decode_head.inner.parameters() if p.requires_grad
    )


def test_noise_to_check_a_config_with_has_seen_labels_only(text):
    model = build(clip_segmentor(text))
    noise = synthetic_batch((2, 3, 32, 64), label_ids(model))
    assert set(torch.stack([s.gt_sem_seg.data for s in noise['data_samples']]).unique().tolist()) == set(range(7)) and torch.isfinite(
        total(model, noise)
    )


def test_text_that_does_not_fit(text, tmp_path):
    path = tmp_path / 'few.safetensors'
    save_text_embeddings(path, synthetic_embeddings(['a', 'b'], 16))
    with pytest.raises(UserError, match='of 2 classes, the head has 9'):
        build(clip_segmentor(str(path)))
    save_text_embeddings(path, synthetic_embeddings(NAMES, 12))
    with pytest.raises(UserError, match='12'):
        build(clip_segmentor(str(path)))
    with pytest.raises(UserError, match='text_embeddings=None'):
        losses(build(clip_segmentor()), seen_batch())
    with pytest.raises(UserError, match='unseen class 12'):
        build(clip_segmentor(text, unseen=(12,)))
    with pytest.raises(UserError, match='no checkpoint'):
        build(clip_segmentor(text) | dict(decode_head=dict(clip_segmentor(text)['decode_head'], clip=dict(name=tiny_clip()))))


# -- the stand-in ----------------------------------------------------------------------------------------------------------
def test_ridge_and_label_vectors_by_hand():
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    y = x @ torch.tensor([[1.0, 2], [0, 1], [3, 0]]) + torch.tensor([5.0, -1])
    weight, bias = ridge(x, y, 0.0)
    torch.testing.assert_close(weight, torch.tensor([[1.0, 0, 3], [2, 1, 0]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(bias, torch.tensor([5.0, -1]), atol=1e-4, rtol=0)
    labels = torch.tensor([[[0, 0, 0, 1], [2, 2, 255, 255]]])
    torch.testing.assert_close(
        label_vectors(labels, torch.eye(3), unseen=(2,)), torch.tensor([[0.948683, 0.316228, 0.0]]), atol=1e-6, rtol=0
    )
    with pytest.raises(UserError, match='no labelled pixel'):
        label_vectors(torch.full((1, 2, 2), 2), torch.eye(3), unseen=(2,))


def test_a_fitted_tower_points_at_its_labels():
    torch.manual_seed(0)
    tower = LinearTextTower(dict(type='mmseg.MixVisionTransformer', embed_dims=8, num_layers=[1] * 4, num_heads=[1] * 4), 8, 16).eval()
    images, labels = torch.randn(6, 3, 32, 32), torch.randint(3, (6, 32, 32))
    rows = synthetic_embeddings(['a', 'b', 'c'], 16).embeddings
    before = F.cosine_similarity(tower(images), label_vectors(labels, rows)).mean()
    after = fit_text_tower(tower, images.split(2), labels.split(2), rows)
    assert after > 0.9 > before and F.cosine_similarity(tower(images), label_vectors(labels, rows)).mean().item() == pytest.approx(
        after, abs=1e-5
    )


# -- shipped configs -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    'path', sorted([*(ROOT / 'configs/chimeraseg').glob('*.py'), *(ROOT / 'configs/alone').glob('*-zs-*.py')]), ids=lambda p: p.stem
)
def test_configs_mask_what_the_head_calls_unseen(path):
    cfg = Config.fromfile(path)
    masks = [t.unseen for t in cfg.train_dataloader.dataset.pipeline if t.type.endswith('MaskUnseenLabels')]
    head = (cfg.model.student.get('cfg') or cfg.model.student).decode_head if 'student' in cfg.model else cfg.model.decode_head
    assert len(masks) == 1 and (head.type != 'vkd.ClipSemanticHead' or masks[0] == head.unseen)
    assert cfg.test_evaluator.type == 'vkd.ZeroShotIoUMetric' and not any('Mask' in t.type for t in cfg.test_dataloader.dataset.pipeline)
