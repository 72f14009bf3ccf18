"""Published layouts, made here by their names: what the networks compute from converted weights is compared with a forward pass written
from the official names alone.
"""

import importlib.util

import pytest
import torch
import torch.nn.functional as F
from helpers import ROOT
from helpers.errors import fails
from helpers.networks import build, restorer

from vkd import UserError
from vkd.build.checkpoint import load_into
from vkd.convert.sr import NAMES, goes_by_order, official_to_vkd, recognise, vkd_to_official
from vkd.models.restorers import EDSR, IMDN, IMDN_AS, IMDN_RTC, RCAN, RFDN

MEAN = torch.tensor([0.4488, 0.4371, 0.4040])


def tensors(shapes, prefix=''):
    """``{name: [out, in, k, k]}`` -> weights and biases."""
    torch.manual_seed(0)
    return {
        f'{prefix}{name}.{part}': torch.randn(shape if part == 'weight' else shape[:1])
        / (1 if part == 'bias' else (shape[1] * shape[2] ** 2) ** 0.5)
        for name, shape in shapes.items()
        for part in ('weight', 'bias')
    }


def imdn(scale=4, any_scale=False, blocks=6, c=64):
    d, r = c // 4, c - c // 4
    head = {'fea_conv.0': (c, 3, 3, 3), 'fea_conv.2': (c, c, 3, 3)} if any_scale else {'fea_conv': (c, 3, 3, 3)}
    body = {
        f'IMDB{i}.{k}': v
        for i in range(1, blocks + 1)
        for k, v in {
            'c1': (c, c, 3, 3),
            'c2': (c, r, 3, 3),
            'c3': (c, r, 3, 3),
            'c4': (d, r, 3, 3),
            'c5': (c, c, 1, 1),
            'cca.conv_du.0': (c // 16, c, 1, 1),
            'cca.conv_du.2': (c, c // 16, 1, 1),
        }.items()
    }
    return tensors(
        {**head, **body, 'c.0': (c, blocks * c, 1, 1), 'LR_conv': (c, c, 3, 3), 'upsampler.0': (3 * scale**2, c, 3, 3)}, 'module.'
    )


def rtc(scale=2, blocks=5, c=12, name='model.{}'):
    """The layout of ``IMDN_RTC`` in the authors' code: one ``Sequential``, whose shortcut holds the blocks and a 1x1 convolution."""
    d, r = c // 4, c - c // 4
    block = {'c1': (c, c, 3, 3), 'c2': (c, r, 3, 3), 'c3': (c, r, 3, 3), 'c4': (d, r, 3, 3), 'c5': (c, c, 1, 1)}
    body = {f'1.sub.{i}.{k}': v for i in range(blocks) for k, v in block.items()}
    layers = {'0': (c, 3, 3, 3), **body, f'1.sub.{blocks}': (c, c, 1, 1), '2': (3 * scale**2, c, 3, 3)}
    return tensors({name.format(k): v for k, v in layers.items()})


def rfdn(scale=4, blocks=4, c=50):
    f = c // 4
    body = {
        f'B{i}.{k}': v
        for i in range(1, blocks + 1)
        for k, v in {
            **{f'c{j}_d': (c // 2, c, 1, 1) for j in (1, 2, 3)},
            **{f'c{j}_r': (c, c, 3, 3) for j in (1, 2, 3)},
            'c4': (c // 2, c, 3, 3),
            'c5': (c, 2 * c, 1, 1),
            'esa.conv1': (f, c, 1, 1),
            'esa.conv_f': (f, f, 1, 1),
            'esa.conv_max': (f, f, 3, 3),
            'esa.conv2': (f, f, 3, 3),
            'esa.conv3': (f, f, 3, 3),
            'esa.conv3_': (f, f, 3, 3),
            'esa.conv4': (c, f, 1, 1),
        }.items()
    }
    return tensors(
        {'fea_conv': (c, 3, 3, 3), **body, 'c.0': (c, blocks * c, 1, 1), 'LR_conv': (c, c, 3, 3), 'upsampler.0': (3 * scale**2, c, 3, 3)}
    )


def shifted(state):
    eye = torch.eye(3).view(3, 3, 1, 1)
    return {'sub_mean.weight': eye, 'sub_mean.bias': -255 * MEAN, **state, 'add_mean.weight': eye, 'add_mean.bias': 255 * MEAN}


def tail(scale, c):
    return {**{f'tail.0.{2 * k}': (c * {3: 9}.get(scale, 4), c, 3, 3) for k in range({2: 1, 3: 1, 4: 2}[scale])}, 'tail.1': (3, c, 3, 3)}


def edsr(scale=4, blocks=3, c=16):
    body = {f'body.{i}.body.{k}': (c, c, 3, 3) for i in range(blocks) for k in (0, 2)}
    return shifted(tensors({'head.0': (c, 3, 3, 3), **body, f'body.{blocks}': (c, c, 3, 3), **tail(scale, c)}))


def rcan(scale=4, groups=2, blocks=3, c=16):
    block = {'0': (c, c, 3, 3), '2': (c, c, 3, 3), '3.conv_du.0': (c // 4, c, 1, 1), '3.conv_du.2': (c, c // 4, 1, 1)}
    body = {f'body.{g}.body.{b}.body.{k}': v for g in range(groups) for b in range(blocks) for k, v in block.items()}
    return shifted(
        tensors(
            {
                'head.0': (c, 3, 3, 3),
                **body,
                **{f'body.{g}.body.{blocks}': (c, c, 3, 3) for g in range(groups)},
                f'body.{groups}': (c, c, 3, 3),
                **tail(scale, c),
            }
        )
    )


CASES = dict(
    IMDN=(imdn, lambda s: IMDN(s)),
    IMDN_AS=(lambda s: imdn(4, True), lambda s: IMDN_AS()),
    IMDN_RTC=(rtc, lambda s: IMDN_RTC(s)),
    RFDN=(rfdn, lambda s: RFDN(s)),
    EDSR=(edsr, lambda s: EDSR(s, 16, 3)),
    RCAN=(rcan, lambda s: RCAN(s, 16, 2, 3, 4)),
)
each = pytest.mark.parametrize('network', CASES)


def by_official_names(state, network, scale, x):
    """The forward pass, from the official names."""
    state = {k.removeprefix('module.'): v for k, v in state.items()}

    def conv(name, x, **options):
        weight = state[f'{name}.weight']
        return F.conv2d(x, weight, state[f'{name}.bias'], padding=options.pop('padding', weight.shape[-1] // 2), **options)

    def act(x):
        return F.leaky_relu(x, 0.05)

    def gate(name, x, looked):
        return x * torch.sigmoid(conv(f'{name}.2', F.relu(conv(f'{name}.0', looked))))

    def imdb(n, x):
        kept, rest = [], x
        for k in (1, 2, 3):
            out = act(conv(f'{n}.c{k}', rest))
            kept.append(out[:, : out.shape[1] // 4])
            rest = out[:, out.shape[1] // 4 :]
        joined = torch.cat([*kept, conv(f'{n}.c4', rest)], 1)
        return (
            conv(
                f'{n}.c5',
                gate(f'{n}.cca.conv_du', joined, joined.mean((2, 3), keepdim=True) + joined.std((2, 3), correction=0, keepdim=True)),
            )
            + x
        )

    def rfdb(n, x):
        kept, size = [], x.shape[-2:]
        for k in (1, 2, 3):
            kept.append(act(conv(f'{n}.c{k}_d', x)))
            x = act(conv(f'{n}.c{k}_r', x) + x)
        x = conv(f'{n}.c5', torch.cat([*kept, act(conv(f'{n}.c4', x))], 1))
        first = conv(f'{n}.esa.conv1', x)
        seen = F.relu(conv(f'{n}.esa.conv_max', F.max_pool2d(conv(f'{n}.esa.conv2', first, stride=2, padding=0), 7, 3)))
        seen = F.interpolate(conv(f'{n}.esa.conv3_', F.relu(conv(f'{n}.esa.conv3', seen))), size, mode='bilinear', align_corners=False)
        return x * torch.sigmoid(conv(f'{n}.esa.conv4', seen + conv(f'{n}.esa.conv_f', first)))

    if network == 'IMDN_RTC':
        first = x = conv('model.0', x)
        for i in range(5):
            start, kept, rest = x, [], x
            for k in (1, 2, 3):
                out = act(conv(f'model.1.sub.{i}.c{k}', rest))
                kept.append(out[:, :3])
                rest = out[:, 3:]
            x = conv(f'model.1.sub.{i}.c5', torch.cat([*kept, conv(f'model.1.sub.{i}.c4', rest)], 1)) + start
        return F.pixel_shuffle(conv('model.2', conv('model.1.sub.5', x) + first), scale)
    if network in ('IMDN', 'IMDN_AS', 'RFDN'):
        x = x * 255 if network == 'RFDN' else x
        x = conv('fea_conv.2', act(conv('fea_conv.0', x, stride=2)), stride=2) if network == 'IMDN_AS' else conv('fea_conv', x)
        block, letter, seen, out = (rfdb, 'B', x, []) if network == 'RFDN' else (imdb, 'IMDB', x, [])
        for i in range(1, 5 if network == 'RFDN' else 7):
            seen = block(f'{letter}{i}', seen)
            out.append(seen)
        x = F.pixel_shuffle(conv('upsampler.0', conv('LR_conv', act(conv('c.0', torch.cat(out, 1)))) + x), scale)
        return x / 255 if network == 'RFDN' else x
    first = x = conv('head.0', conv('sub_mean', 255 * x))
    for i in range(3 if network == 'EDSR' else 2):
        if network == 'EDSR':
            x = conv(f'body.{i}.body.2', F.relu(conv(f'body.{i}.body.0', x))) + x
            continue
        group = x
        for j in range(3):
            n = f'body.{i}.body.{j}.body'
            out = conv(f'{n}.2', F.relu(conv(f'{n}.0', x)))
            x = gate(f'{n}.3.conv_du', out, out.mean((2, 3), keepdim=True)) + x
        x = conv(f'body.{i}.body.3', x) + group
    x = conv('body.3' if network == 'EDSR' else 'body.2', x) + first
    for k in range({2: 1, 3: 1, 4: 2}[scale]):
        x = F.pixel_shuffle(conv(f'tail.0.{2 * k}', x), {3: 3}.get(scale, 2))
    return conv('add_mean', conv('tail.1', x)) / 255


@each
@pytest.mark.parametrize('scale', [2, 3, 4])
def test_converted_weights_compute_what_the_official_names_say(network, scale):
    make, own = CASES[network]
    state = make(scale)
    model = own(scale).eval()
    model.load_state_dict(official_to_vkd(state), strict=True)
    x = torch.rand(1, 3, 20, 24)
    with torch.no_grad():
        wanted = by_official_names(state, network, 4 if network == 'IMDN_AS' else scale, x)
        torch.testing.assert_close(model(x), wanted, atol=2e-5 * wanted.abs().max().item(), rtol=1e-4)


@each
def test_there_and_back(network):
    state = CASES[network][0](3)
    assert recognise(state) == recognise(official_to_vkd(state), official=False) == network
    back = vkd_to_official({f'student.backbone.{k}': v for k, v in official_to_vkd(state).items()})
    plain = {k.removeprefix('module.'): v for k, v in state.items()}
    assert set(back) == set(plain) and all(torch.equal(back[k], v) for k, v in plain.items())


def test_entries_as_published():
    assert [len(f()) for f in (imdn, lambda: imdn(any_scale=True), rfdn)] == [92, 94, 128] and set(CASES) == set(NAMES)
    assert sum(v.numel() for v in rtc().values()) == 20190


def test_imdn_rtc_loads_by_order_whatever_its_names(tmp_path, capsys):
    named, other = rtc(), rtc(name='net.layers.{}')
    wanted = official_to_vkd(named)
    assert recognise(other) == 'IMDN_RTC' and not goes_by_order(named, 'IMDN_RTC') and goes_by_order(other, 'IMDN_RTC')
    found = official_to_vkd(other)
    assert list(found) == list(wanted) == list(IMDN_RTC().state_dict()) and all(torch.equal(found[k], v) for k, v in wanted.items())
    shuffled = dict(sorted(other.items(), key=lambda item: item[0].endswith('weight')))
    with pytest.raises(UserError, match='56 tensors with these first and last shapes are no IMDN_RTC'):
        official_to_vkd(shuffled, 'IMDN_RTC')
    swapped = dict(other, **{'net.layers.1.sub.0.c2.weight': torch.zeros(12, 12, 3, 3)})
    with pytest.raises(
        UserError,
        match=r"'net.layers.1.sub.0.c2.weight' of shape \(12, 12, 3, 3\) stands where 'body.0.conv2.weight' of shape \(12, 9, 3, 3\) is expected",
    ):
        official_to_vkd(swapped, 'IMDN_RTC')
    with pytest.raises(UserError, match='52 tensors with these first and last shapes are no IMDN_RTC'):
        official_to_vkd(dict(list(other.items())[:52]), 'IMDN_RTC')
    spec = importlib.util.spec_from_file_location('sr_converter', ROOT / 'tools/converters/sr.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    torch.save(other, tmp_path / 'model_RTC.pth')
    tool.main(tool.arguments().parse_args([str(tmp_path / 'model_RTC.pth'), str(tmp_path / 'vkd.pth')]))
    said = capsys.readouterr().out
    assert '56 tensors became 56 (IMDN_RTC: their names are not' in said and 'in their order, all shapes checked' in said
    assert load_into(build(dict(type='vkd.Restorer', backbone=dict(type='IMDN_RTC', scale=2))), tmp_path / 'vkd.pth')['share'] == 1


@pytest.mark.parametrize(
    'change, text',
    [
        (lambda s: {**s, 'module.extra.weight': torch.zeros(1)}, "'module.extra.weight' has no place in IMDN"),
        (lambda s: {'a.weight': torch.zeros(1)}, "for example 'a.weight'; give official weights of IMDN, IMDN_AS"),
        (lambda s: {}, 'none at all'),
        (lambda s: {**edsr(), 'sub_mean.bias': -MEAN}, r"'sub_mean.bias' is not the shift by DIV2K's mean on 0 to 255"),
    ],
)
def test_what_has_no_place(change, text):
    with pytest.raises(UserError, match=text):
        official_to_vkd(change(imdn()))
    with pytest.raises(UserError, match="'SwinIR' has no official layout"):
        official_to_vkd(imdn(), 'SwinIR')
    with pytest.raises(UserError, match="'fuse2.weight' has no counterpart"):
        vkd_to_official({**official_to_vkd(imdn()), 'fuse2.weight': torch.zeros(1)})


def test_only_a_prefix_is_cut():
    """The official loader cuts seven characters off every name that holds the word."""
    state = {k.removeprefix('module.'): v for k, v in imdn().items()}
    assert set(official_to_vkd(state)) == set(official_to_vkd(imdn()))


def test_x4_starts_from_x2(tmp_path):
    torch.save(dict(state_dict=official_to_vkd(imdn(2))), tmp_path / 'x2.pth')
    with pytest.raises(
        UserError,
        match=r'fits 90 of 92 tensors .*backbone.upsample.conv.bias.*shape \(12,\) for \(48,\); all but the end fits, so it is probably of another scale than x4',
    ):
        load_into(build(dict(type='vkd.Restorer', backbone=dict(type='IMDN', scale=4))), tmp_path / 'x2.pth')
    model = build(
        dict(
            type='vkd.Distiller',
            student=dict(
                model=dict(type='vkd.Restorer', backbone=dict(type='IMDN', scale=4)), checkpoint=str(tmp_path / 'x2.pth'), strict=False
            ),
            methods=[],
        )
    )
    assert model.student_report['missing'] == ['backbone.upsample.conv.bias', 'backbone.upsample.conv.weight']
    assert torch.equal(model.student.backbone.fuse.weight, imdn(2)['module.c.0.weight'])


def test_the_tool(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location('sr_converter', ROOT / 'tools/converters/sr.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    torch.save(imdn(), tmp_path / 'official.pth')
    tool.main(tool.arguments().parse_args([str(tmp_path / 'official.pth'), str(tmp_path / 'vkd.pth')]))
    assert '92 tensors became 92' in capsys.readouterr().out
    assert load_into(build(dict(type='vkd.Restorer', backbone=dict(type='IMDN', scale=4))), tmp_path / 'vkd.pth')['share'] == 1
    tool.main(tool.arguments().parse_args([str(tmp_path / 'vkd.pth'), str(tmp_path / 'back.pth'), '--back']))
    back = torch.load(tmp_path / 'back.pth', weights_only=True)
    assert all(torch.equal(back[k.removeprefix('module.')], v) for k, v in imdn().items())
    with fails('partial-checkpoint', 'fits 0 of 16 tensors'):
        load_into(build(restorer('EDSR')), tmp_path / 'vkd.pth')
