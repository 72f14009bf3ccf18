"""Official SegFormer-style weights against a small definition of the official network, written from the paper's description."""

import pytest
import torch
import torch.nn.functional as F
from helpers import ROOT
from helpers.networks import build, segmentor
from torch import nn

from vkd import UserError
from vkd.build.checkpoint import load_weights
from vkd.commands.line import command
from vkd.convert.segformer import mmseg_to_segformer, segformer_to_mmseg

WIDTH, DEPTHS, HEADS, REDUCTIONS = [8, 16, 24, 32], [1, 2, 1, 1], [1, 2, 3, 4], [8, 4, 2, 1]


class Named(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class Attention(nn.Module):
    def __init__(self, c, heads, sr):
        super().__init__()
        self.heads, self.ratio = heads, sr
        self.q, self.kv, self.proj = nn.Linear(c, c), nn.Linear(c, 2 * c), nn.Linear(c, c)
        if sr > 1:
            self.sr, self.norm = nn.Conv2d(c, c, sr, sr), nn.LayerNorm(c, eps=1e-6)

    def forward(self, x, h, w):
        b, n, c = x.shape
        q = self.q(x).view(b, n, self.heads, -1).transpose(1, 2)
        y = self.norm(self.sr(x.transpose(1, 2).view(b, c, h, w)).flatten(2).transpose(1, 2)) if self.ratio > 1 else x
        k, v = self.kv(y).view(b, -1, 2, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        return self.proj((((q @ k.transpose(-1, -2)) * (c // self.heads) ** -0.5).softmax(-1) @ v).transpose(1, 2).reshape(b, n, c))


class Block(nn.Module):
    def __init__(self, c, heads, sr):
        super().__init__()
        self.norm1, self.norm2, self.attn = nn.LayerNorm(c, eps=1e-6), nn.LayerNorm(c, eps=1e-6), Attention(c, heads, sr)
        self.mlp = Named(
            fc1=nn.Linear(c, 4 * c), dwconv=Named(dwconv=nn.Conv2d(4 * c, 4 * c, 3, padding=1, groups=4 * c)), fc2=nn.Linear(4 * c, c)
        )

    def forward(self, x, h, w):
        x = x + self.attn(self.norm1(x), h, w)
        y = self.mlp.fc1(self.norm2(x))
        y = self.mlp.dwconv.dwconv(y.transpose(1, 2).reshape(len(y), -1, h, w)).flatten(2).transpose(1, 2)
        return x + self.mlp.fc2(F.gelu(y))


class Official(nn.Module):
    def __init__(self, channels=8, classes=9):
        super().__init__()
        parts, before = {}, 3
        for i, (c, depth, heads, sr) in enumerate(zip(WIDTH, DEPTHS, HEADS, REDUCTIONS, strict=False), 1):
            k, s = (7, 4) if i == 1 else (3, 2)
            parts[f'patch_embed{i}'] = Named(proj=nn.Conv2d(before, c, k, s, k // 2), norm=nn.LayerNorm(c, eps=1e-6))
            parts[f'block{i}'], parts[f'norm{i}'], before = (
                nn.ModuleList(Block(c, heads, sr) for _ in range(depth)),
                nn.LayerNorm(c, eps=1e-6),
                c,
            )
        self.backbone = Named(**parts)
        head = {f'linear_c{i}': Named(proj=nn.Linear(c, channels)) for i, c in enumerate(WIDTH, 1)}
        self.decode_head = Named(
            **head,
            linear_fuse=Named(conv=nn.Conv2d(4 * channels, channels, 1, bias=False), bn=nn.BatchNorm2d(channels)),
            linear_pred=nn.Conv2d(channels, classes, 1),
        )

    def forward(self, x):
        maps = []
        for i in range(1, 5):
            embed = getattr(self.backbone, f'patch_embed{i}')
            x = embed.proj(x)
            h, w = x.shape[2:]
            t = embed.norm(x.flatten(2).transpose(1, 2))
            for block in getattr(self.backbone, f'block{i}'):
                t = block(t, h, w)
            x = getattr(self.backbone, f'norm{i}')(t).transpose(1, 2).reshape(len(t), -1, h, w)
            maps.append(x)
        projected = [
            getattr(self.decode_head, f'linear_c{i}').proj(m.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(len(m), -1, *m.shape[2:])
            for i, m in enumerate(maps, 1)
        ]
        projected = [F.interpolate(p, size=maps[0].shape[2:], mode='bilinear', align_corners=False) for p in projected]
        fuse = self.decode_head.linear_fuse
        return self.decode_head.linear_pred(F.relu(fuse.bn(fuse.conv(torch.cat(projected[::-1], 1)))))


def mmseg():
    return dict(
        segmentor(8),
        backbone=dict(type='mmseg.MixVisionTransformer', embed_dims=8, num_layers=DEPTHS, num_heads=HEADS, sr_ratios=REDUCTIONS),
        decode_head=dict(segmentor(8)['decode_head'], type='vkd.LinearSegformerHead', in_channels=WIDTH),
    )


@pytest.fixture
def official():
    torch.manual_seed(3)
    net = Official().eval()
    for value in net.state_dict().values():
        if value.is_floating_point():
            value.add_(0.1 * torch.rand_like(value))
    return net


def test_equal_outputs(official):
    model = build(mmseg()).eval()
    state = {f'module.{k}': v for k, v in official.state_dict().items()}
    # what official files hold besides
    unused = {
        'module.decode_head.conv_seg.weight': torch.ones(9, 8, 1, 1),
        'module.decode_head.conv_seg.bias': torch.ones(9),
        'head.weight': torch.ones(1000, WIDTH[3]),
    }
    model.load_state_dict(segformer_to_mmseg({**state, **unused}), strict=True)
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(model(image), official(image), rtol=1e-4, atol=1e-5)


def test_there_and_back_by_the_command(official, tmp_path):
    import importlib.util

    spec = importlib.util.spec_from_file_location('tools_convert', ROOT / 'tools/converters/transkd.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    torch.save(dict(state_dict=official.state_dict()), tmp_path / 'official.pth')
    command(tool.main, tool.arguments(), [str(tmp_path / 'official.pth'), str(tmp_path / 'mmseg.pth')])
    command(tool.main, tool.arguments(), [str(tmp_path / 'mmseg.pth'), str(tmp_path / 'back.pth'), '--back'])
    back, state = load_weights(tmp_path / 'back.pth'), official.state_dict()
    assert set(back) == set(state) and all(torch.equal(back[k], state[k]) for k in state)


@pytest.mark.parametrize(
    'change, told',
    [
        (lambda s: s.update({'backbone.rel_pos': torch.ones(1)}), 'rel_pos'),
        (lambda s: s.pop('backbone.block1.0.attn.q.weight'), 'not whole'),
    ],
)
def test_what_does_not_fit_is_told(official, change, told):
    state = dict(official.state_dict())
    change(state)
    with pytest.raises(UserError, match=told):
        segformer_to_mmseg(state)
    with pytest.raises(UserError, match='LinearSegformerHead'):
        mmseg_to_segformer(build(segmentor(8)).state_dict())
