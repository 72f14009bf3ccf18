"""Image files through a network."""

import importlib.util

import numpy as np
import pytest
import torch
from helpers import ROOT
from helpers.errors import fails
from helpers.networks import build, restorer
from torch import nn

from vkd import UserError
from vkd.build.config import load_config
from vkd.build.memory import forward_bytes
from vkd.io.images import read_image, write_image
from vkd.models.restorers import EDSR, IMDN, IMDN_AS, RCAN, RFDN, Restorer
from vkd.physics.resize import imresize
from vkd.restore.images import choose_tile, load_restorer, plan, pools_globally, restore_files, restore_image, tiles, write_restored


def picture(h=24, w=36, channels=3, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (h, w, channels), dtype=dtype, endpoint=True)


class Repeat(nn.Module):
    """Each pixel becomes s x s equal ones."""

    def __init__(self, scale=2, min_size=1):
        super().__init__()
        self.scale, self.min_size, self.one, self.seen = scale, min_size, nn.Parameter(torch.ones(())), []

    def forward(self, x):
        self.seen.append(tuple(x.shape))
        return self.one * x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


@pytest.mark.parametrize('length, tile, overlap', [(100, 30, 8), (100, 0, 8), (7, 30, 8), (64, 32, 0), (65, 32, 4)])
def test_tiles_cover_each_place_once(length, tile, overlap):
    found = tiles(length, tile, overlap)
    assert [i for a, b, _, _ in found for i in range(a, b)] == list(range(length))
    assert all(c == max(a - overlap, 0) and d <= min(b + overlap + tile, length) and d >= b for a, b, c, d in found)


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_pixels_come_back_as_they_were(channels, dtype):
    image = picture(53, 37, channels, dtype)
    for tile in (0, 16, 20):
        out = restore_image(Restorer(Repeat()), image, tile, 4)
        assert out.dtype == dtype and np.array_equal(out, image.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize('channels', [2, 4])
def test_alpha_is_resized_as_a_whole(channels):
    image = picture(53, 37, channels)
    for tile in (0, 16):
        out = restore_image(Restorer(Repeat()), image, tile, 0)
        assert np.array_equal(out[..., -1], imresize(image[..., -1], 2)) and np.array_equal(
            out[..., :-1], image[..., :-1].repeat(2, 0).repeat(2, 1)
        )
    assert np.array_equal(restore_image(Restorer(Repeat(1)), image, 16, 0), image)


def test_tiles_leave_no_trace_beyond_the_reach_of_a_network():
    torch.manual_seed(0)
    model = build(restorer('EDSR')).eval()  # 2 blocks of 2 convolutions, 5 others at most: a reach of 9
    image = picture(70, 91)
    whole = restore_image(model, image, 0)
    assert np.array_equal(restore_image(model, image, 24, 12), whole)
    assert not np.array_equal(restore_image(model, image, 24, 4), whole)


def test_a_network_that_pools_over_the_image_restores_it_whole(monkeypatch, tmp_path, capsys):
    """Tiles would change the image; whole where memory allows, else tiles, and one line says which."""
    torch.manual_seed(0)
    pooling = Restorer(IMDN(2, 8, 2)).eval()
    pooling.backbone.body[0].cca.conv2.weight.data *= 40  # a gate that feels it
    image, size = picture(300, 40), (300, 40)
    assert [pools_globally(n) for n in (IMDN(2, 8, 2), RCAN(2, 16, 1, 1, 4), IMDN_AS(8, 2), EDSR(2, 8, 2), RFDN(2, 8, 2))] == [True] * 3 + [
        False
    ] * 2
    assert pools_globally(nn.Sequential(nn.AdaptiveAvgPool2d(1))) and not pools_globally(nn.Sequential(nn.AdaptiveAvgPool2d(2)))
    whole, tiled = restore_image(pooling, image, 0), restore_image(pooling, image, 256)
    assert not np.array_equal(whole, tiled) and np.array_equal(restore_image(pooling, image), whole)
    assert choose_tile(pooling, (256, 40)) == (256, None) and choose_tile(Restorer(Repeat()), size) == (256, None)
    assert choose_tile(pooling, size, 0) == (0, None)
    assert choose_tile(pooling, size) == (
        0,
        'IMDN pools over the whole image, so images are restored whole; --tile 256 takes less memory and changes the result.',
    )
    assert choose_tile(pooling, size, 64) == (
        64,
        'IMDN pools over the whole image: tiles of 64 see other statistics than the image has and change the result; --tile 0 restores whole.',
    )
    write_image(tmp_path / 'in/a.png', image)
    write_image(tmp_path / 'in/b.png', image)
    restore_files(pooling, [tmp_path / 'in'], tmp_path / 'whole', progress=False)
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and said.startswith('a.png: IMDN pools over the whole image, so images are restored whole')
    assert np.array_equal(read_image(tmp_path / 'whole/b.png'), whole)
    monkeypatch.setattr('vkd.restore.images.free_bytes', lambda device: 2 * forward_bytes(pooling.backbone, (1, 3, 300, 40)) - 1)
    restore_files(pooling, [tmp_path / 'in'], tmp_path / 'tiled', progress=False)
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and '300x40 take about 0.0 GiB, more than half of what is free: tiles of 256' in said
    assert np.array_equal(read_image(tmp_path / 'tiled/b.png'), tiled) and np.array_equal(restore_image(pooling, image), tiled)


def test_memory_is_that_of_a_tile():
    model = Restorer(Repeat())
    restore_image(model, picture(200, 300), 32, 8)
    assert len(model.backbone.seen) == 7 * 10 and max(s[2] for s in model.backbone.seen) == 48 == max(s[3] for s in model.backbone.seen)


@pytest.mark.parametrize('channels, dtype', [(1, np.uint8), (2, np.uint8), (3, np.uint16), (4, np.uint8)])
def test_a_png_is_written_as_it_comes(channels, dtype, tmp_path):
    image, model = picture(53, 37, channels, dtype), Restorer(Repeat())
    write_restored(tmp_path / 'a.png', model, image, 16, 4)
    assert np.array_equal(read_image(tmp_path / 'a.png'), restore_image(model, image, 16, 4))


@pytest.mark.slow
def test_the_restored_image_is_never_held_as_a_whole(tmp_path):
    import tracemalloc

    image, model = np.full((800, 100, 3), 90, np.uint8), Restorer(Repeat(8))
    write_restored(tmp_path / 'warm.png', model, image[:32], 32, 4)
    tracemalloc.start()
    write_restored(tmp_path / 'a.png', model, image, 32, 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.25 * image.nbytes * 64


def test_a_network_that_fails_half_way_leaves_no_file(tmp_path):
    model = Restorer(Repeat())
    model.backbone.register_forward_hook(lambda m, x, y: y / 0 * 0 if len(m.seen) > 3 else y)
    with fails('not-finite'):
        write_restored(tmp_path / 'a.png', model, picture(64, 32), 16, 4)
    assert not list(tmp_path.iterdir())


def test_small_images_and_odd_sizes():
    model = Restorer(Repeat(2, min_size=15))
    assert np.array_equal(restore_image(model, picture(5, 40)), picture(5, 40).repeat(2, 0).repeat(2, 1)) and model.backbone.seen == [
        (1, 3, 15, 40)
    ]
    assert restore_image(build(restorer('RFDN')).eval(), picture(3, 2)).shape == (6, 4, 3)
    assert (
        restore_image(Restorer(IMDN_AS(8, 2)), picture(65, 79)).shape
        == (65, 79, 3)
        == restore_image(Restorer(IMDN_AS(8, 2)), picture(65, 79), 40, 8).shape
    )


def test_values_that_are_not_finite():
    model = Restorer(Repeat())
    model.backbone.one.data.fill_(float('nan'))
    with fails('not-finite'):
        restore_image(model, picture())
    with pytest.raises(UserError, match='overlap -1'):
        restore_image(model, picture(), overlap=-1)


def made(tmp_path):
    """``(config, checkpoint)`` of a run, and a folder of unlike images."""
    model = dict(type='vkd.Distiller', student=restorer(), methods=[])
    (tmp_path / 'cfg.py').write_text(f"default_scope = 'mmseg'\nmodel = {model!r}\n")
    torch.save(dict(state_dict=build(model).state_dict()), tmp_path / 'iter_1.pth')
    for name, channels, dtype in (
        ('rgb.png', 3, np.uint8),
        ('grey.png', 1, np.uint8),
        ('alpha.png', 4, np.uint8),
        ('deep.png', 3, np.uint16),
        ('deep-grey.tif', 1, np.uint16),
        ('photo.jpg', 3, np.uint8),
    ):
        write_image(tmp_path / 'in' / name, picture(20, 17, channels, dtype))
    return tmp_path / 'cfg.py', tmp_path / 'iter_1.pth'


def tool():
    spec = importlib.util.spec_from_file_location('restore_tool', ROOT / 'tools/restore.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tool(tmp_path, capsys):
    cfg, checkpoint = made(tmp_path)
    words = [
        str(cfg),
        str(checkpoint),
        str(tmp_path / 'in'),
        '--out',
        str(tmp_path / 'out'),
        '--tile',
        '16',
        '--no-progress',
        '--device',
        'cpu',
    ]
    capsys.readouterr()
    tool().main(tool().arguments().parse_args(words))
    assert (
        sorted(p.name for p in (tmp_path / 'out').iterdir())
        == ['alpha.png', 'deep-grey.tif', 'deep.png', 'grey.png', 'photo.png', 'rgb.png']
        and capsys.readouterr().out.count('\n') == 6
    )
    shapes = {p.stem: (read_image(p).shape, read_image(p).dtype) for p in (tmp_path / 'out').iterdir()}
    assert (
        shapes['alpha'] == ((40, 34, 4), np.uint8)
        and shapes['deep-grey'] == ((40, 34, 1), np.uint16)
        and shapes['deep'] == ((40, 34, 3), np.uint16)
        and shapes['grey'] == ((40, 34, 1), np.uint8)
    )
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / 'out').iterdir()}
    with fails('file-exists', "alpha.png'.*5 more.*--overwrite"):
        tool().main(tool().arguments().parse_args(words))
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / 'out').iterdir()}
    tool().main(tool().arguments().parse_args([*words, '--overwrite']))
    assert all(p.stat().st_mtime_ns > t for p, t in before.items())


def test_one_bad_file_does_not_stop_the_others(tmp_path):
    cfg, checkpoint = made(tmp_path)
    data = (tmp_path / 'in/alpha.png').read_bytes()
    (tmp_path / 'in/alpha.png').write_bytes(data[: len(data) // 2])
    model = load_restorer(load_config(cfg), checkpoint)
    with pytest.raises(UserError, match="1 of 6 images could not be restored; Image .*alpha.png' cannot.*cut off"):
        restore_files(model, [tmp_path / 'in'], tmp_path / 'out', progress=False)
    assert len(list((tmp_path / 'out').iterdir())) == 5


def test_plans_that_are_refused(tmp_path):
    cfg, _ = made(tmp_path)
    folder = tmp_path / 'in'
    for sources, out, text in (
        ([folder], folder, 'is the folder of the input'),
        ([folder / 'rgb.png'], tmp_path / 'out/../in', 'is the folder of the input'),
        ([tmp_path / 'no'], tmp_path / 'out', 'does not exist'),
        ([tmp_path / 'no/a.png'], tmp_path / 'out', 'does not exist'),
        ([folder], cfg, "cfg.py' is a file; give a folder"),
    ):
        with pytest.raises(UserError, match=text):
            plan(sources, out)
    write_image(tmp_path / 'other/rgb.bmp', picture())
    with pytest.raises(UserError, match='would both become'):
        plan([folder, tmp_path / 'other'], tmp_path / 'out')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='holds no image'):
        plan([tmp_path / 'empty'], tmp_path / 'out')


def test_models_that_do_not_fit(tmp_path):
    _, checkpoint = made(tmp_path)
    (tmp_path / 'x4.py').write_text(
        f"default_scope = 'mmseg'\nmodel = {dict(type='vkd.Distiller', student=restorer(scale=4), methods=[])!r}\n"
    )
    with pytest.raises(UserError, match=r'backbone.upsample.conv.bias.*shape \(12,\) for \(48,\)'):
        load_restorer(load_config(tmp_path / 'x4.py'), checkpoint)
    from helpers.networks import segmentor

    (tmp_path / 'seg.py').write_text(f"default_scope = 'mmseg'\nmodel = {segmentor()!r}\n")
    with pytest.raises(UserError, match='is of EncoderDecoder, which gives no images'):
        load_restorer(load_config(tmp_path / 'seg.py'), checkpoint)


def test_export_with_a_graph_of_any_size(tmp_path):
    from helpers.restoration import config, distiller

    from vkd.export.student import export

    cfg = config(distiller('OutputKD'), tmp_path / 'run')
    torch.save(dict(state_dict=build(distiller('OutputKD'), seed=3).state_dict()), tmp_path / 'iter_4.pth')
    content = export(cfg, tmp_path / 'iter_4.pth', tmp_path / 'out', onnx=True)
    assert (
        content['onnx']['size'] == content['onnx']['batch'] == 'any'
        and content['onnx']['output'] == 'restored'
        and content['onnx']['difference'] < 1e-5
    )
    assert (
        content['input'] == dict(task_name='sisr', scale=2, value_range=(0, 1), inner_range=(0, 1), channel_order='rgb')
        and content['parameters'] < 6000
    )
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / 'out/run_student.onnx', providers=['CPUExecutionProvider'])
    model = load_restorer(load_config(tmp_path / 'out/run_student.py'), tmp_path / 'out/run_student.pth')
    plain = load_restorer(cfg, tmp_path / 'iter_4.pth')
    for size in ((17, 23), (40, 16)):
        x = torch.rand(1, 3, *size)
        with torch.no_grad():
            assert torch.equal(model(x), plain(x))
            np.testing.assert_allclose(session.run(None, dict(image=x.numpy()))[0], model(x), atol=1e-5)
