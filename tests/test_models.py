import math

import pytest
import torch
import torch.nn.functional as F
from helpers.batches import batch, losses
from helpers.networks import build, distiller, segmentor
from torch import nn

from vkd.build.config import load_config
from vkd.methods.transkd import TransKD, find_taps
from vkd.models.backbones.lvt import ConvolutionalSelfAttention, LiteVisionTransformer, RecursiveAtrousSelfAttention


def test_lvt_has_the_published_size_and_strides():
    """3.4 million parameters of the backbone and 3.9 under a SegFormer head of 150 classes, as its authors' README says."""
    net = LiteVisionTransformer()
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 1) == 3.4
    model = build(load_config('configs/alone/alone_lvt_mmseg_cityscapes-512x1024.py').model)
    head = sum(p.numel() for p in model.student.decode_head.parameters()) + (150 - 19) * 257
    assert round((sum(p.numel() for p in net.parameters()) + head) / 1e6, 1) == 3.9
    assert [tuple(y.shape) for y in net(torch.randn(1, 3, 96, 70))] == [(1, 64, 24, 18), (1, 64, 12, 9), (1, 160, 6, 5), (1, 256, 3, 3)]


@pytest.mark.parametrize('size', [(4, 6), (5, 3)])
def test_convolutional_self_attention_by_loops(size):
    torch.manual_seed(0)
    csa, (h, w), c, heads = ConvolutionalSelfAttention(8, 2), size, 8, 2
    x = torch.randn(1, h, w, c)
    out = torch.zeros(h + 2, w + 2, c)
    padded = F.pad(x[0].permute(2, 0, 1), (1, 1, 1, 1))
    for i in range(0, h, 2):
        for j in range(0, w, 2):
            mean = x[0, i : i + 2, j : j + 2].reshape(-1, c).mean(0)
            share = (csa.weights(mean).view(heads, 9, 9) / 2).softmax(-1)  # sqrt of 4 channels a head
            near = padded[:, i : i + 3, j : j + 3].reshape(c, 9).t()
            values = torch.stack([csa.values[k] @ near[k] for k in range(9)])
            mixed = torch.cat([share[m] @ values[:, 4 * m : 4 * m + 4] for m in range(heads)], dim=1)
            out[i : i + 3, j : j + 3] += mixed.view(3, 3, c)
    torch.testing.assert_close(csa(x)[0], csa.out(out[1:-1, 1:-1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('reduction', [1, 2])
def test_recursive_atrous_self_attention_is_two_attentions_of_one_kind(reduction):
    torch.manual_seed(0)
    rasa, x = RecursiveAtrousSelfAttention(8, 2, reduction), torch.randn(2, 4, 6, 8)

    def attend(y):
        query = rasa.query(y).permute(0, 3, 1, 2)
        total = 0
        for d in (1, 3, 5):
            conv = nn.Conv2d(8, 8, 3, padding=d, dilation=d, groups=8, bias=False)
            conv.weight = rasa.atrous.weight
            total = total + F.silu(conv(query))
        seen = y if reduction == 1 else rasa.norm(rasa.reduce(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        key, value = rasa.key_value(seen).flatten(1, 2).chunk(2, dim=-1)
        heads = []
        for m in range(2):
            part = slice(4 * m, 4 * m + 4)
            scores = total.flatten(2).transpose(1, 2)[..., part] @ key[..., part].transpose(1, 2) / math.sqrt(4)
            heads.append(scores.softmax(-1) @ value[..., part])
        return rasa.out(torch.cat(heads, -1)).view_as(y)

    once = F.silu(attend(x))
    torch.testing.assert_close(rasa(x), F.silu(attend(once + x)), rtol=1e-4, atol=1e-5)


def lvt(width=8):
    return dict(
        segmentor(8), backbone=dict(type='vkd.LiteVisionTransformer', embed_dims=[width] * 4, num_layers=[1] * 4, num_heads=[1] * 4)
    )


@pytest.mark.parametrize('variant', TransKD.variants)
def test_lvt_learns_from_a_segformer(variant):
    model = build(distiller(dict(type='TransKD', variant=variant), student=lvt()))
    own = losses(model, batch(size=(64, 64)))
    model.parse_losses(own)[0].backward()
    assert all(p.grad is not None for p in model.parameters())
    assert find_taps(model.student)[1] == [f'backbone.stages.{i}.0' for i in range(4)]
    # the authors tap it before the norm (T15): a tap of the norm's input
    raw = build(
        distiller(
            dict(
                type='TransKD',
                variant=variant,
                student_stages=[f'backbone[{i}]' for i in range(4)],
                student_embeddings=[f'in:backbone.stages.{i}.0.norm' for i in range(4)],
            ),
            student=lvt(),
        )
    )
    assert losses(raw, batch(size=(64, 64)))['loss_pea'] != own['loss_pea']


def test_lvt_recomputed_is_lvt():
    torch.manual_seed(0)
    net, x = LiteVisionTransformer(embed_dims=[8] * 4, num_layers=[2] * 4, num_heads=[2] * 4), torch.randn(1, 3, 64, 64, requires_grad=True)
    grads = []
    for net.with_cp in (False, True):
        net.zero_grad()
        sum(y.sum() for y in net(x)).backward()
        grads.append([p.grad.clone() for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=False))
