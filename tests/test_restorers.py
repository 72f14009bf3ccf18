import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vkd import UserError
from vkd.models.restorers import EDSR, IMDN, IMDN_AS, IMDN_RTC, RCAN, RFDN, Restorer
from vkd.models.restorers.imdn import IMDB, ContrastGate, contrast
from vkd.models.restorers.imdn_as import adaptive_crop
from vkd.models.restorers.layers import PixelShuffleUpsample, run
from vkd.models.restorers.restorer import charbonnier_loss
from vkd.models.restorers.rfdn import ESA

SMALL = dict(
    IMDN=lambda s: IMDN(s, 8, 2),
    RFDN=lambda s: RFDN(s, 8, 2),
    IMDN_RTC=lambda s: IMDN_RTC(s, 8, 2),
    EDSR=lambda s: EDSR(s, 8, 2),
    RCAN=lambda s: RCAN(s, 8, 2, 2, 4),
)


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    'make, parameters',
    [
        (lambda: IMDN(2), 694404),
        (lambda: IMDN(3), 703059),
        (lambda: IMDN(4), 715176),
        (lambda: IMDN(8), 798264),
        (IMDN_AS, 752104),
        (IMDN_RTC, 20190),
        (RFDN, 433448),
        (lambda: EDSR(2), 1369859),
        (lambda: EDSR(3), 1554499),
        (lambda: EDSR(4), 1517571),
        (lambda: EDSR(4, 256, 32, 0.1), 43089923),
        (RCAN, 15592355),
        (lambda: IMDB(64, ContrastGate(64)), 104020),
        (lambda: ContrastGate(64), 580),
    ],
)
def test_parameters(make, parameters):
    with torch.device('meta'):
        assert count(make()) == parameters


@pytest.mark.parametrize(
    'make, size, wanted',
    [
        (lambda: IMDN(2), (360, 640), 158.77),
        (lambda: IMDN(3), (240, 426), 71.34),
        (lambda: IMDN(4), (180, 320), 40.89),
        (RFDN, (180, 320), 23.76),
        (IMDN_AS, (720, 1280), 43.3),
    ],
)
def test_multiply_adds_at_1280x720(make, size, wanted):
    with torch.device('meta'), FlopCounterMode(display=False) as counter:
        make()(torch.zeros(1, 3, *size))
    assert counter.get_total_flops() / 2e9 == pytest.approx(wanted, abs=0.05 if make is IMDN_AS else 0.011)


@pytest.mark.parametrize('scale', [2, 3, 4, 8])
@pytest.mark.parametrize('name', SMALL)
def test_shape_and_finite_gradients(name, scale):
    torch.manual_seed(0)
    network = SMALL[name](scale)
    x = torch.rand(2, 3, 17, 23)
    out = network(x)
    assert out.shape == (2, 3, 17 * scale, 23 * scale)
    out.mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize('name', SMALL)
def test_constant_maps_have_finite_gradients(name):
    network = SMALL[name](2)
    for value in (0.0, 0.5):
        x = torch.full((1, 3, 16, 16), value, requires_grad=True)
        network(x).sum().backward()
        assert x.grad.isfinite().all() and all(p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize('name', SMALL)
def test_checkpointing_gives_the_same(name):
    network = SMALL[name](2)
    x = torch.rand(1, 3, 16, 16)
    found = []
    for with_cp in (False, True):
        network.with_cp = with_cp
        network.zero_grad()
        out = network(x)
        out.square().mean().backward()
        found.append([out, *(p.grad.clone() for p in network.parameters())])
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(*found, strict=False))


def test_checkpointing_recomputes_the_first_block_too():
    """Its input, the image, needs no gradient; its weights do."""
    block, calls = nn.Conv2d(3, 3, 1), []
    block.register_forward_pre_hook(lambda *_: calls.append(1))
    run(block, torch.rand(1, 3, 4, 4), with_cp=True).sum().backward()
    assert len(calls) == 2 and block.weight.grad.norm() > 0
    with torch.no_grad():
        run(block, torch.rand(1, 3, 4, 4), with_cp=True)
    assert len(calls) == 3


def test_contrast_by_hand():
    x = torch.tensor([[1.0, 2], [3, 4]]).view(1, 1, 2, 2)
    assert contrast(x).item() == pytest.approx(2.5 + 1.25**0.5, abs=1e-6) == pytest.approx(3.618034, abs=1e-6)
    flat = torch.ones(1, 2, 3, 3, requires_grad=True)
    contrast(flat).sum().backward()
    assert torch.allclose(flat.grad, torch.full_like(flat, 1 / 9))
    assert contrast(flat).sub(1).abs().max() <= 1.01e-6
    gate = ContrastGate(16)
    nn.init.zeros_(gate.conv2.weight), nn.init.zeros_(gate.conv2.bias)
    y = torch.randn(1, 16, 4, 4)
    assert torch.equal(gate(y), 0.5 * y)


def test_imdb():
    torch.manual_seed(0)
    block, x = IMDB(16, ContrastGate(16)), torch.randn(2, 16, 6, 7)
    a = F.leaky_relu(block.conv1(x), 0.05)
    b = F.leaky_relu(block.conv2(a[:, 4:]), 0.05)
    c = F.leaky_relu(block.conv3(b[:, 4:]), 0.05)
    joined = torch.cat([a[:, :4], b[:, :4], c[:, :4], block.conv4(c[:, 4:])], 1)
    weight = torch.sigmoid(
        block.cca.conv2(F.relu(block.cca.conv1(joined.mean((2, 3), keepdim=True) + joined.std((2, 3), correction=0, keepdim=True))))
    )
    torch.testing.assert_close(block(x), block.conv5(joined * weight) + x)
    nn.init.zeros_(block.conv5.weight), nn.init.zeros_(block.conv5.bias)
    assert torch.equal(block(x), x)


def test_order_of_shuffled_pixels():
    up = PixelShuffleUpsample(12, 3, 2)
    with torch.no_grad():
        up.conv.weight.zero_(), up.conv.bias.copy_(torch.arange(12.0))
    out = up(torch.zeros(1, 12, 4, 5))
    assert out.shape == (1, 3, 8, 10)
    for c in range(3):
        assert all((out[0, c, i::2, j::2] == 4 * c + 2 * i + j).all() for i in range(2) for j in range(2))


def test_any_scale_and_its_adaptive_crop():
    network = IMDN_AS(8, 2).eval()
    with torch.no_grad():
        for size, wanted in (((24, 30), (24, 32)), ((25, 31), (28, 32)), ((24, 32), (24, 32))):
            x = torch.rand(1, 3, *size)
            assert network(x).shape[-2:] == wanted and network.predict(x).shape == x.shape
        assert torch.equal(network.predict(x), network(x))
        big = torch.rand(2, 3, 70, 91)
        assert network.predict(big).shape == big.shape


@pytest.mark.parametrize('size', [(60, 61), (61, 60), (62, 63), (63, 90), (97, 66), (101, 103), (128, 121), (9, 200), (25, 31)])
def test_adaptive_crop_of_an_identity_is_the_image(size):
    seen = []

    def network(x):
        seen.append(x.shape)
        return x

    x = torch.rand(2, 3, *size)
    assert torch.equal(adaptive_crop(network, x), x)
    assert len(seen) == 1 and seen[0][-1] % 4 == seen[0][-2] % 4 == 0
    if min(size) >= 60:
        assert seen[0] == (8, 3, *((n // 2 + 32) - (n // 2 + 32) % 4 for n in size))


def test_esa_needs_fifteen_pixels():
    assert ESA(8)(torch.rand(1, 8, 15, 15)).shape == (1, 8, 15, 15)
    model = Restorer(SMALL['RFDN'](4))
    with pytest.raises(UserError, match='RFDN takes images with sides of 15 or more, but one of 14x40'):
        model(torch.rand(1, 3, 14, 40))


@pytest.mark.parametrize('name', ['RFDN', 'EDSR', 'RCAN'])
def test_inner_range(name):
    """A network that works on 0 to 255 inside takes and gives 0 to 1: its first and last layers see the scaled image."""
    network, seen = SMALL[name](2), []
    network.conv_first.register_forward_pre_hook(lambda m, x: seen.append(x[0]))
    last = network.upsample if name == 'RFDN' else network.conv_last
    last.register_forward_hook(lambda m, x, y: seen.append(y))
    x = torch.rand(1, 3, 16, 16)
    out = network(x)
    mean = torch.zeros(1, 3, 1, 1) if name == 'RFDN' else torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
    torch.testing.assert_close(seen[0], 255 * (x - mean))
    torch.testing.assert_close(out, seen[1] / 255 + mean)
    assert Restorer(network).metainfo['inner_range'] == (0, 255) and Restorer(SMALL['IMDN'](2)).metainfo == dict(
        task_name='sisr', scale=2, value_range=(0, 1), inner_range=(0, 1), channel_order='rgb'
    )
    assert 'mean' not in network.state_dict()


def sample(size=(32, 32), seed=0):
    return BaseDataElement(gt_img=torch.randint(256, (3, *size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8))


def test_three_modes():
    torch.manual_seed(0)
    model = Restorer(dict(type='IMDN', scale=2, channels=8, blocks=2))
    data = dict(inputs=[torch.full((3, 16, 16), v, dtype=torch.uint8) for v in (0, 255)], data_samples=[sample(), sample(seed=1)])
    ready = model.data_preprocessor(data, True)
    assert ready['inputs'].shape == (2, 3, 16, 16) and ready['inputs'].unique().tolist() == [0, 1]
    out = model(ready['inputs'])
    loss = model(**ready, mode='loss')
    truth = torch.stack([s.gt_img for s in data['data_samples']]) / 255
    assert list(loss) == ['loss_pixel'] and torch.equal(loss['loss_pixel'], (out - truth).abs().mean())
    with torch.no_grad():
        found = model(**ready, mode='predict')
    assert all(torch.equal(s.pred_img, o.clamp(0, 1)) for s, o in zip(found, out, strict=False)) and found[0] is ready['data_samples'][0]
    assert model(ready['inputs'], mode='predict')[1].pred_img.shape == (3, 32, 32)


def test_pixel_losses():
    a, b = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5)
    assert charbonnier_loss(a, b).item() == pytest.approx((0.25 + 1e-6) ** 0.5)
    data = dict(inputs=torch.rand(1, 3, 16, 16), data_samples=[sample()])
    found = {}
    for kind in ('l1', 'mse', 'charbonnier'):
        torch.manual_seed(0)
        model = Restorer(SMALL['IMDN'](2), pixel_loss=kind, loss_weight=2.0)
        found[kind] = model(**data, mode='loss')['loss_pixel'].item()
    difference = model.backbone(data['inputs']) - data['data_samples'][0].gt_img / 255
    assert found == pytest.approx(
        dict(
            l1=2 * difference.abs().mean().item(),
            mse=2 * difference.square().mean().item(),
            charbonnier=2 * charbonnier_loss(difference, 0 * difference).item(),
        )
    )


@pytest.mark.parametrize(
    'call, text',
    [
        (lambda: IMDN(5), 'scale 5 is not offered; choose one of 2, 3, 4, 8'),
        (lambda: IMDN(2, 10), 'multiple of 4'),
        (lambda: RFDN(2, 9), 'even number'),
        (lambda: EDSR(6), 'scale 6'),
        (lambda: Restorer(dict(type='IMDN'), pixel_loss='l3'), "'l3' is unknown; nearest: 'l1'"),
        (
            lambda: Restorer(SMALL['IMDN'](2))(torch.rand(1, 3, 8, 8), [sample()], mode='loss'),
            r'output of 3x16x16 faces a gt_img of 3x32x32 for an input of 3x8x8.*scale 2',
        ),
        (
            lambda: Restorer(SMALL['IMDN'](2))(torch.rand(1, 3, 8, 8), [BaseDataElement(metainfo=dict(name='a.png'))], mode='loss'),
            "needs gt_img, but a.png has none",
        ),
        (
            lambda: Restorer(SMALL['IMDN'](2)).data_preprocessor(dict(inputs=[torch.zeros(3, 8, 8), torch.zeros(3, 8, 9)])),
            'images of 3x8x8 and 3x8x9.*batch_size=1',
        ),
    ],
)
def test_bad_input(call, text):
    with pytest.raises(UserError, match=text) as error:
        call()
    assert '\n' not in str(error.value)


def test_schedule_of_the_source():
    """The config's learning rates after 200,000, 400,000, 600,000 and 800,000 iterations; its numbers over 100,000, so that it takes no
    time.
    """
    from helpers import ROOT
    from mmengine.registry import PARAM_SCHEDULERS

    from vkd.build.config import load_config

    cfg = load_config(ROOT / 'configs/alone/alone_imdn_1000k_div2k-x2.py')
    assert cfg.train_cfg.max_iters == 1000000 and len(cfg.param_scheduler) == 1 and cfg.train_dataloader.batch_size == 16
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], **{k: v for k, v in cfg.optim_wrapper.optimizer.items() if k != 'type'})
    own = dict(cfg.param_scheduler[0])
    schedule = PARAM_SCHEDULERS.build(
        dict(own, milestones=[m // 100000 for m in own['milestones']], end=own['end'] // 100000, optimizer=optimizer)
    )
    found = [optimizer.param_groups[0]['lr']]
    for _ in range(9):
        optimizer.step(), schedule.step()
        found.append(optimizer.param_groups[0]['lr'])
    assert found == [2e-4] * 2 + [1e-4] * 2 + [5e-5] * 2 + [2.5e-5] * 2 + [1.25e-5] * 2
