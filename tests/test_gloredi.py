"""GloReDi: networks, terms by hand, the bank, who learns from whom, and whole runs on phantoms."""

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from helpers import ROOT
from helpers.batches import total
from helpers.ct import SCANNER, config, distiller, restorer, slices
from helpers.networks import build
from helpers.processes import check_steps, distributed, in_two_processes, killed_and_resumed, step_of
from mmengine.config import Config
from scipy.fft import dctn

from vkd import UserError
from vkd.distill.memory_bank import MemoryBank
from vkd.engine import alternate_step
from vkd.engine.peers import PerRole
from vkd.methods import gloredi
from vkd.methods.feature import cosine_loss
from vkd.methods.gloredi import GloReDi, band_contrast_loss, band_mask, band_vectors, dct, supervised_contrastive_loss
from vkd.models.restorers import FBPConvNet, GloReNet
from vkd.models.restorers.ffc import FFC, FFCBody, FourierUnit
from vkd.models.restorers.gloredi import Decoder, Encoder
from vkd.models.restorers.outlier_cap import OutlierCap


def count(module):
    return sum(p.numel() for p in module.parameters())


# -- networks ----------------------------------------------------------------------------------------------------------
def test_parameters_and_shapes():
    model = GloReNet().eval()
    assert (count(model.encoder), count(model.decoder), count(model), 2 * len(model.state_dict())) == (5032768, 1703809, 6736577, 1016)
    with torch.no_grad():
        z = model.encoder(torch.rand(1, 1, 64, 64))
        assert z.shape == (1, 256, 16, 16) and z.min() >= 0
        out = model.decoder(z)
    assert out.shape == (1, 1, 64, 64) and out.min() > 0 and out.max() < 1
    assert Encoder(2, 1).eval()(torch.rand(1, 1, 256, 256)).shape == (1, 8, 64, 64)
    assert count(FBPConvNet()) == 34562945
    assert FBPConvNet(2).eval()(torch.rand(1, 1, 32, 48)).shape == (1, 1, 32, 48)


def test_a_residual_network_begins_at_its_input():
    model, x = GloReNet(4, (1, 1), residual=True), torch.randn(2, 1, 16, 16)
    assert torch.equal(model(x), x) and count(model) == count(GloReNet(4, (1, 1)))
    model(x).sum().backward()
    assert model.decoder.last[1].weight.grad.norm() > 0


def test_the_released_split_never_reads_a_quarter():
    z = torch.rand(1, 64, 8, 8)
    other = torch.cat([z[:, :48], torch.rand(1, 16, 8, 8)], 1)
    for legacy in (True, False):
        decoder = Decoder(16, 1, legacy).eval()
        with torch.no_grad():
            assert torch.equal(decoder(z), decoder(other)) == legacy


def test_the_fourier_unit():
    unit = FourierUnit(3).eval()
    unit.conv.weight.data = torch.eye(6)[..., None, None]
    unit.norm, unit.relu = torch.nn.Identity(), torch.nn.Identity()
    x, seen = torch.randn(2, 3, 6, 7), []
    torch.testing.assert_close(unit(x), x)
    unit.conv.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    unit(x)
    spectrum = torch.fft.rfft2(x, norm='ortho')
    torch.testing.assert_close(seen[0], torch.stack([part for c in range(3) for part in (spectrum[:, c].real, spectrum[:, c].imag)], 1))
    with torch.autocast('cpu', torch.bfloat16):
        assert unit(x.bfloat16()).dtype == torch.float32 and seen[-1].dtype == torch.float32


def test_every_place_sees_the_whole_image():
    encoder, x = Encoder(4, 1).eval(), torch.rand(1, 1, 64, 64)
    torch.nn.init.normal_(encoder.down2.l2g.weight)
    other = x.clone()
    other[..., 3, 5] += 1
    with torch.no_grad():
        assert ((encoder(x) - encoder(other)).abs().sum(1) > 0).all()
    ordinary = FFC(4, 4, 0, 0).eval()
    with torch.no_grad():
        far = (ordinary(x.expand(-1, 4, -1, -1))[0] - ordinary(other.expand(-1, 4, -1, -1))[0])[..., 20:, 20:]
    assert not far.any()


def test_one_stream_may_be_absent():
    x = torch.randn(2, 8, 8, 8)
    for ratio, absent in ((1, 0), (0, 1)):
        unit = FFC(8, 8, ratio, ratio)
        out = unit(*((None, x) if ratio else (x, None)))
        assert out[absent] is None and out[1 - absent].shape == x.shape
        body = FFCBody(8, ratio, 2)
        y = body(x)
        y.sum().backward()
        assert y.shape == x.shape and all(p.grad is not None for p in body.parameters())


def test_bad_networks_and_images():
    for call, text in (
        (lambda: GloReNet(4, (1, 1))(torch.zeros(1, 1, 30, 32)), 'an image of 30x32 .* multiples of 4'),
        (lambda: GloReNet(3), 'width is 3'),
        (lambda: FBPConvNet(2)(torch.zeros(1, 1, 40, 32)), 'multiples of 16'),
    ):
        with pytest.raises(UserError, match=text):
            call()


# -- the terms by hand -------------------------------------------------------------------------------------------------
def test_direction_loss():
    a, b = (torch.tensor(v).view(1, 2, 1, 1).requires_grad_() for v in ([3.0, 4.0], [4.0, 3.0]))
    loss = cosine_loss(a, b)
    assert loss.item() == pytest.approx(0.04) and cosine_loss(7 * a, b).item() == pytest.approx(0.04)
    assert cosine_loss(a, 2 * a).item() == pytest.approx(0, abs=1e-6)
    loss.backward()
    assert b.grad is None and a.grad.norm() > 0


def test_dct_by_hand_and_by_scipy():
    torch.testing.assert_close(dct(torch.ones(2, 2)), torch.tensor([[16.0, 0], [0, 0]]), atol=1e-5, rtol=0)
    torch.testing.assert_close(dct(torch.tensor([[1.0, 2], [3, 4]])), torch.tensor([[40, -5.65685], [-11.31371, 0]]), atol=1e-4, rtol=0)
    x = torch.randn(2, 3, 7, 10)
    torch.testing.assert_close(dct(x), torch.from_numpy(dctn(x.numpy(), axes=(2, 3))), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(dct(x, 3, 4), dct(x)[..., :3, :4])


@pytest.mark.parametrize(
    'n, band, first, last, kept', [(64, (0.1, 0.6), 7, 38, 1472), (128, (0.1, 0.6), 13, 76, 5760), (10, (0.2, 0.5), 2, 4, 21)]
)
def test_band(n, band, first, last, kept):
    mask = band_mask((n, n), band)
    assert (
        mask.sum() == kept
        and mask.shape == (last + 1,) * 2
        and not mask[:first, :first].any()
        and mask[first:].all()
        and mask[:, first:].all()
    )
    x = torch.randn(2, 3, n, n)
    v = band_vectors(x, band)
    assert v.shape == (2, 3 * kept)
    whole = F.pad(mask, (0, n - last - 1, 0, n - last - 1))
    torch.testing.assert_close(
        v, F.normalize(torch.from_numpy(dctn(x.numpy(), axes=(2, 3)))[..., whole].flatten(1), dim=1), atol=1e-5, rtol=1e-3
    )


def released_mask(height, width, low, high):
    """The rule of the authors' code, written out for every coefficient."""
    start, end = height * low * 1.414 / 2 * 1.414, width * high * 1.414 / 2 * 1.414
    inside = [[max(i, j) <= start for j in range(width)] for i in range(height)]
    return torch.tensor([[max(i, j) <= end and (start == 0 or not inside[i][j]) for j in range(width)] for i in range(height)])


@pytest.mark.parametrize('size', [(64, 64), (10, 10), (16, 40), (40, 16), (9, 30)])
@pytest.mark.parametrize('band', [(0.1, 0.6), (0, 0.5), (0.0, 1.0), (0.2, 0.9), (0.01, 0.3)])
def test_the_band_is_the_authors_on_maps_of_any_shape(size, band):
    wanted, found = released_mask(*size, *band), band_mask(size, band)
    assert torch.equal(F.pad(found, (0, size[1] - found.shape[1], 0, size[0] - found.shape[0])), wanted)
    assert found[0, 0] == (band[0] == 0)  # the mean
    x = torch.randn(2, 3, *size)
    whole = F.normalize(torch.from_numpy(dctn(x.numpy(), axes=(2, 3)))[..., wanted].flatten(1), dim=1)
    torch.testing.assert_close(band_vectors(x, band), whole, atol=1e-5, rtol=1e-3)


def test_a_band_that_keeps_nothing_is_refused():
    assert not released_mask(100, 10, 0.1, 0.6).any()
    with pytest.raises(
        UserError, match='of a map of 100x10 keeps no coefficient, since it starts at 9 of the height and ends at 5 of the width'
    ):
        band_mask((100, 10), (0.1, 0.6))


@pytest.mark.parametrize(
    'rows, labels, tau, wanted',
    [('aabb', [1, 1, 0, 0], 0.5, 0.239558), ('ababba', [1, 2, 1, 2, 0, 0], 1.0, 1.465909), ('ababba', [1, 2, 1, 2, 0, 0], 0.07, 4.510604)],
)
def test_supervised_contrast(rows, labels, tau, wanted):
    v = torch.stack([torch.eye(2)['ab'.index(c)] for c in rows])
    assert supervised_contrastive_loss(v, torch.tensor(labels), tau).item() == pytest.approx(wanted, abs=1e-5)
    if rows == 'ababba':
        assert band_contrast_loss(v[:2], v[2:4], v[4:], tau).item() == pytest.approx(wanted, abs=1e-5)
    lonely = torch.cat([v, F.normalize(torch.ones(1, 2), dim=1)])
    assert supervised_contrastive_loss(lonely, torch.tensor([*labels, 9]), tau).isfinite()


# -- the cap -----------------------------------------------------------------------------------------------------------
def test_a_capped_batch_teaches_nothing_and_does_not_crash():
    cap, w = OutlierCap(window=3, factor=3.0), torch.ones((), requires_grad=True)
    found = []
    for value in (1.0, 2.0, 3.5, 5.0, 8.0, 100.0):
        w.grad = None
        loss = cap(value * w)
        loss.backward()
        found.append((loss.item(), w.grad.item()))
    assert found == [(1, 1), (2, 2), (3, 0), (5, 5), (8, 8), (15, 0)]  # the least of the last three: 1, 1, 1, 2, 3.5, 5
    assert cap.eval()(torch.tensor(1e9)).item() == 15 and cap.past.tolist() == [5, 8, 100]
    again = OutlierCap(3, 3.0)
    again.load_state_dict(cap.state_dict())
    assert again(torch.tensor(50.0)).item() == 24


def test_an_infinite_loss_is_handed_on():
    cap = OutlierCap(window=3, factor=2.0)
    assert [cap(torch.tensor(v)).item() for v in (1.0, float('inf'), 5.0)] == [1, float('inf'), 2]
    assert OutlierCap(window=3)(torch.tensor(float('inf'))).item() == float('inf')  # as the first of all


# -- the bank ----------------------------------------------------------------------------------------------------------
def test_bpcd_waits_until_the_bank_is_full():
    method, random = GloReDi(rdd_weight=0, bpcd_weight=1.0).train(), torch.Generator().manual_seed(0)
    found = [method.contrast(*(torch.randn(4, 2, 10, 10, generator=random) for _ in range(2))).item() for _ in range(76)]
    assert found[:75] == [0] * 75 and found[75] > 0 and method.memory.count == 304 and method.memory.vectors.shape == (300, 2 * 35)


def test_the_bank_is_first_in_first_out():
    bank = MemoryBank(3)
    for start in (0, 2):
        bank.push(torch.arange(start, start + 2.0)[:, None])
    assert bank.vectors.flatten().tolist() == [3, 1, 2] and bank.full and bank.count == 4
    bank.push(torch.arange(10.0, 15)[:, None])
    assert sorted(bank.vectors.flatten().tolist()) == [12, 13, 14]
    again = MemoryBank(3)
    again.load_state_dict(bank.state_dict())
    again.push(torch.tensor([[99.0]]))
    bank.push(torch.tensor([[99.0]]))
    assert torch.equal(again.vectors, bank.vectors)
    with pytest.raises(UserError, match='holds vectors of 1 numbers, but one of 2'):
        bank.push(torch.zeros(1, 2))
    with pytest.raises(UserError, match='takes .* GiB'):
        MemoryBank(10**9).push(torch.zeros(1, 10**4))


def filled():
    import torch.distributed as dist

    rank, bank, cap, out = dist.get_rank(), MemoryBank(8), OutlierCap(4, 2.0), []
    for step in range(2):
        bank.push(torch.tensor([[10.0 * step + 100 * rank], [10.0 * step + 100 * rank + 1]]))
    for mine in ([1.0, 2.0], [6.0, 2.0]):
        out.append(cap(torch.tensor(mine[rank])).item())
    return bank.vectors.tolist(), [cap.past[-2].item(), cap.past[-1].item()]


# -- who learns from whom ----------------------------------------------------------------------------------------------
@pytest.fixture
def model():
    return build(distiller(dict(type='GloReDi', memory_size=2, bpcd_weight=1.0)))


def grads(model):
    return {
        name: any(p.grad is not None and p.grad.any() for p in model.get_submodule(name).parameters())
        for name in ('student.backbone.encoder', 'student.backbone.decoder', 'teacher.backbone.encoder', 'teacher.backbone.decoder')
    }


def test_routing_of_gradients(model):
    data = model.data_preprocessor(slices(), True)
    for _ in range(2):
        losses = model(**data, mode='loss')
    assert list(losses) == ['loss_pixel', 'teacher.loss_pixel', 'loss_rdd', 'loss_bpcd'] and losses['loss_bpcd'] > 0
    for keys, wanted in (
        (['teacher.loss_pixel'], [False, False, True, False]),
        (['loss_pixel'], [True, True, False, False]),
        (['loss_rdd', 'loss_bpcd'], [True, False, False, False]),
    ):
        model.zero_grad()
        sum(losses[k] for k in keys).backward(retain_graph=True)
        assert list(grads(model).values()) == wanted


def test_each_step_moves_its_own_network(model):
    optim = PerRole(dict(student=dict(optimizer=dict(type='SGD', lr=0.1)), teacher=dict(optimizer=dict(type='SGD', lr=0.0))))(model)
    before = copy.deepcopy({k: v for k, v in model.named_parameters()})
    model.train_step(slices(), optim)
    moved = {k.rsplit('.', 1)[0][:24] for k, v in model.named_parameters() if not torch.equal(v, before[k])}
    assert {m.split('.')[0] for m in moved} == {'student'}
    assert model.teacher.backbone.decoder.up[0].weight.requires_grad is False


@pytest.mark.parametrize('momentum', [0.0, 0.9])
def test_the_teachers_decoder_follows_the_students(momentum):
    model = build(distiller(momentum=momentum))
    ours, theirs = model.teacher.backbone.decoder, model.student.backbone.decoder
    # the encoder too starts alike
    assert all(torch.equal(a, b) for a, b in zip(model.teacher.state_dict().values(), model.student.state_dict().values(), strict=False))
    assert model.teacher.backbone.encoder.stem[1].weight.data_ptr() != model.student.backbone.encoder.stem[1].weight.data_ptr()
    optim = PerRole(dict(student=dict(optimizer=dict(type='SGD', lr=0.5)), teacher=dict(optimizer=dict(type='SGD', lr=0.5))))(model)
    first = theirs.last[1].bias.item()
    model.train_step(slices(), optim)
    statistics = ours.up[1].running_mean.clone()
    model.follow()
    assert ours.last[1].bias.item() == pytest.approx(momentum * first + (1 - momentum) * theirs.last[1].bias.item(), rel=1e-6)
    if momentum == 0:
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=False))
    assert (
        torch.equal(ours.up[1].running_mean, statistics)
        and not torch.equal(ours.up[1].running_mean, theirs.up[1].running_mean)
        and ours.training
    )


def test_in_turns_the_student_meets_the_teacher_after_its_step():
    """The release's order, against the same by hand."""
    sgd = dict(optimizer=dict(type='SGD', lr=0.1))
    ours, model = (build(distiller(dict(type='GloReDi', variant='rdd'))) for _ in range(2))
    model.load_state_dict(ours.state_dict())
    optim = PerRole(dict(student=sgd, teacher=sgd))(ours)
    for _ in range(2):
        logs = alternate_step(ours, slices(), optim)
        data = model.data_preprocessor(slices(), True)
        few, dense = data['inputs']['student'], data['inputs']['dense']
        for a, b in zip(model.teacher.backbone.decoder.parameters(), model.student.backbone.decoder.parameters(), strict=False):
            a.data.copy_(b)
        first = model.teacher(dense, data['data_samples'], mode='loss')['loss_pixel']
        first.backward()
        learn(model.teacher)
        with torch.no_grad():
            z_t = model.teacher.backbone.encoder(dense)
        z_s = model.student.backbone.encoder(few)
        pixel = model.student(few, data['data_samples'], mode='loss')['loss_pixel']
        rdd = 0.1 * cosine_loss(z_s[:, : z_s.shape[1] // 2], z_t[:, : z_t.shape[1] // 2])
        (pixel + rdd).backward()
        learn(model.student)
        assert (
            logs['teacher.loss_pixel'].item() == pytest.approx(first.item(), rel=1e-5)
            and logs['loss_rdd'].item() == pytest.approx(rdd.item(), rel=1e-5)
            and logs['loss'].item() == pytest.approx((first + pixel + rdd).item(), rel=1e-5)
        )
    for (name, a), b in zip(
        ours.named_parameters(), model.parameters(), strict=False
    ):  # the teacher's decoder last followed before the second step
        assert torch.allclose(a, b, atol=1e-6), name


def learn(network, rate=0.1):
    for p in network.parameters():
        if p.grad is not None:
            p.data -= rate * p.grad
            p.grad = None


def test_turns_need_two_that_learn_and_an_optimizer_each(tmp_path):
    from vkd.engine import build_runner

    turns = dict(train_cfg=dict(_delete_=True, type='vkd.AlternateTrainLoop', max_iters=2, val_interval=2))
    alone = dict(
        type='vkd.Distiller', student=restorer(), methods=[], probe_shape=(1, 32, 32), data_preprocessor=dict(SCANNER, teacher_views=None)
    )
    one = dict(optim_wrapper=dict(_delete_=True, type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3)))
    other = distiller(dict(type='FeatureKD', student='backbone.encoder', teacher='backbone.encoder', of='student', learner='teacher'))
    for model, more, text in (
        (alone, {}, 'no teacher learns'),
        (distiller(), one, 'the roles share one optimizer'),
        (other, {}, 'FeatureKD teaches teacher, but in turns the student alone is taught'),
    ):
        cfg = config(tmp_path / 'x', model, 2)
        for part in (turns, more):
            cfg.merge_from_dict(part)
        with pytest.raises(UserError, match=text):
            build_runner(cfg).train()


def test_options_that_make_no_sense():
    for options, text in (
        (dict(variant='rd'), "variant 'rd' is unknown; nearest: 'rdd'"),
        (dict(band=(0.6, 0.1)), 'the band rises'),
        (dict(rdd_weight=0, bpcd_weight=0), 'both weights are 0'),
        (dict(pretrain=2), 'pretrain 2'),
    ):
        with pytest.raises(UserError, match=text):
            GloReDi(**options)
    with pytest.raises(UserError, match="teacher: start='student' copies the student's weights, but their tensors differ"):
        build(
            dict(
                type='vkd.Distiller',
                student=restorer(8),
                teacher=dict(model=restorer(), trainable=True, start='student'),
                methods=[],
                probe_shape=(1, 32, 32),
            )
        )
    with pytest.raises(UserError, match='pair equal encoders'):
        build(distiller(dict(type='GloReDi', student='backbone.encoder', teacher='backbone.decoder')))
    with pytest.raises(UserError, match="view 'dense' is not among the inputs"):
        model = build(dict(distiller(), data_preprocessor=dict(SCANNER, teacher_views=None)))
        total(model, slices())


# -- stages and whole runs ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_and_resumed_with_noise_it_ends_in_the_same_bank(tmp_path):
    noisy = dict(SCANNER, noise=dict(photons=1e5, mode='batch_max'))
    method = dict(type='GloReDi', memory_size=4, bpcd_weight=1e-3)
    whole, again = killed_and_resumed(lambda name: config(tmp_path / name, dict(distiller(method), data_preprocessor=noisy)), tmp_path, 3)
    bank = again.model.methods[0].memory
    assert bank.count == 8 and torch.equal(bank.vectors, whole.model.methods[0].memory.vectors) and bank.vectors.norm(dim=1).min() > 0.99
    assert whole.val_loop.evaluator.metrics[0].report == again.val_loop.evaluator.metrics[0].report


@pytest.mark.slow
def test_killed_and_resumed_in_turns_it_ends_alike(tmp_path):
    turns = dict(train_cfg=dict(type='vkd.AlternateTrainLoop', max_iters=4, val_interval=4))
    killed_and_resumed(
        lambda name: config(tmp_path / name, distiller(dict(type='GloReDi', memory_size=2, bpcd_weight=1e-3)), **turns), tmp_path, 3
    )


def test_all_stages_run(tmp_path, monkeypatch):
    from vkd.engine import build_runner

    seen, plain = [], gloredi.GloReDi.forward
    monkeypatch.setattr(gloredi.GloReDi, 'forward', lambda self, s, t, batch: seen.append(plain(self, s, t, batch)) or seen[-1])
    runner = build_runner(
        config(tmp_path / 'run', distiller(dict(type='GloReDi', memory_size=2, pretrain=0.5), cap=dict(window=3, factor=1.01)))
    )
    runner.train()
    assert [own['loss_rdd'].item() > 0 for own in seen] == [False, False, True, True] and seen[0]['loss_bpcd'] == 0
    assert runner.model.methods[0].memory.count == 4 and runner.model.student.loss_cap.past.isfinite().all()
    tuned = restorer()
    alone = dict(
        type='vkd.Distiller',
        student=dict(model=tuned, checkpoint=str(tmp_path / 'run/iter_4.pth'), prefix='student.'),
        methods=[],
        probe_shape=(1, 32, 32),
        data_preprocessor=dict(SCANNER, teacher_views=None),
    )
    last = build_runner(config(tmp_path / 'tuned', alone, 2))
    last.train()
    assert last.iter == 2 and last.model.student.loss_cap is None


def test_the_last_stage_starts_at_epoch_140_of_150():
    folder = ROOT / 'configs/gloredi'
    whole = Config.fromfile(folder / 'gloredi-full_glorenet_dense_150e_deeplesion-256x256-36v.py')
    last = Config.fromfile(folder / 'alone_glorenet_finetune_deeplesion-256x256-36v.py')
    start = int(last.model.student.checkpoint.split('iter_')[1].removesuffix('.pth'))
    epoch, end = 157, whole.train_cfg.max_iters
    assert (start, start + last.train_cfg.max_iters, end) == (140 * epoch, 150 * epoch, 150 * epoch)
    hook, (schedule,) = whole.default_hooks.checkpoint, whole.param_scheduler
    assert start in [n for n in range(1, end + 1) if n % hook.interval == 0 or n == end][-hook.max_keep_ckpts :]
    reached = whole.optim_wrapper.student.optimizer.lr * schedule.gamma ** sum(m <= start for m in schedule.milestones)
    assert last.optim_wrapper.optimizer.lr == reached


def test_it_learns(tmp_path):
    """64x64 in the small: 50 steps on two phantoms at 8, 16 and 48 views."""
    model = build(distiller(dict(type='GloReDi', memory_size=4), width=8))
    adam = dict(optimizer=dict(type='Adam', lr=5e-3))
    optim, data = PerRole(dict(student=adam, teacher=adam))(model), slices()
    found = [model.train_step(data, optim) for _ in range(50)]
    for key in ('loss_pixel', 'teacher.loss_pixel'):
        assert found[-1][key] < 0.1 * found[0][key]
    assert found[-1]['loss_bpcd'] > 0


def one_step(wrap=lambda model: model, step=lambda model, data, optim: model.train_step(data, optim)):
    torch.manual_seed(0)
    model = wrap(build(distiller(dict(type='GloReDi', memory_size=4))))
    inner = getattr(model, 'module', model)
    for m in inner.modules():  # batch norm's statistics are of one process
        if isinstance(m, torch.nn.BatchNorm2d):
            m.eval()
    adam = dict(optimizer=dict(type='SGD', lr=0.1))
    taken = step_of(model, slices(4), PerRole(dict(student=adam, teacher=adam))(inner), step)
    return taken, inner.methods[0].memory.count.item()


def in_group():
    return one_step(distributed), filled(), one_step(partial(distributed, find_unused_parameters=True), alternate_step)


@pytest.mark.slow
def test_two_processes_give_the_loss_of_one_and_hold_one_bank(tmp_path):
    wanted, turns, found = one_step(), one_step(step=alternate_step), in_two_processes(in_group, tmp_path)
    for kind, one in ((0, wanted), (2, turns)):
        (first, count), (second, other) = found[0][kind], found[1][kind]
        check_steps(first, second, one[0])
        assert count == other == one[1] == 4
    assert found[0][1] == found[1][1]
    for _, (bank, losses), _ in found.values():
        assert [row[0] for row in bank] == [0, 1, 100, 101, 10, 11, 110, 111] and losses == [1.5, 4.0]


@pytest.mark.parametrize(
    'more', [dict(type='GloReDi', variant='rdd'), dict(type='GloReDi', memory_size=2, bpcd_weight=1.0)], ids=['rdd', 'full']
)
def test_bf16_channels_last_and_recomputing(more):
    def run(model, context=torch.autocast('cpu', enabled=False)):
        with context:
            for _ in range(2):
                loss = total(model, slices())
        loss.backward()
        return loss.item(), torch.cat([p.grad.flatten().float() for p in model.student.parameters()])

    loss, gradient = run(build(distiller(more)))
    other, grad = run(build(distiller(more)).to(memory_format=torch.channels_last))
    assert other == pytest.approx(loss, rel=1e-4) and F.cosine_similarity(grad, gradient, dim=0) > 0.999
    half, grad = run(build(distiller(more)), torch.autocast('cpu', torch.bfloat16))
    assert half == pytest.approx(loss, rel=0.05) and F.cosine_similarity(grad, gradient, dim=0) > 0.9
    again, grad = run(build(distiller(more, with_cp=True)))
    assert again == pytest.approx(loss, rel=1e-4) and F.cosine_similarity(grad, gradient, dim=0) > 0.999
