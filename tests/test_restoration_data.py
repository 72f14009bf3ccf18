"""Image files, data sets and transforms of restoration."""

import cv2
import numpy as np
import pytest
import torch
from helpers.errors import fails
from helpers.images import picture
from mmengine.registry import DefaultScope
from PIL import Image

from vkd import DATASETS, UserError
from vkd.datasets import (
    Flip,
    LoadImageFromFile,
    MATLABLikeResize,
    ModCrop,
    PackInputs,
    PairedRandomCrop,
    RandomDegradation,
    RandomTransposeHW,
)
from vkd.datasets.demo_pictures import draw_picture
from vkd.io.images import cached, list_images, read_image, to_rgb, write_image
from vkd.physics.resize import imresize, mod_crop


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
@pytest.mark.parametrize('dtype, suffix', [(np.uint8, '.png'), (np.uint16, '.png'), (np.uint8, '.tif'), (np.uint16, '.tif')])
def test_files_keep_channels_and_depth(channels, dtype, suffix, tmp_path):
    image = picture(channels=channels, dtype=dtype)
    write_image(tmp_path / f'a{suffix}', image)
    found = read_image(tmp_path / f'a{suffix}')
    if channels == 2 and dtype == np.uint16:  # stored as RGBA
        image = image[..., [0, 0, 0, 1]]
    assert found.dtype == dtype and np.array_equal(found, image)


def test_other_readers_agree_with_what_is_written(tmp_path):
    write_image(tmp_path / 'a.png', picture())
    assert np.array_equal(np.array(Image.open(tmp_path / 'a.png')), picture())
    write_image(tmp_path / 'b.png', picture(dtype=np.uint16, channels=4))
    assert np.array_equal(
        cv2.imread(str(tmp_path / 'b.png'), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]], picture(dtype=np.uint16, channels=4)
    )


def test_unusual_files(tmp_path):
    rgb = Image.fromarray(picture(64, 64) // 8 + 100)
    rgb.convert('CMYK').save(tmp_path / 'cmyk.jpg')
    rgb.convert('P').save(tmp_path / 'palette.png')
    rgb.convert('1').save(tmp_path / 'bits.png')
    assert read_image(tmp_path / 'cmyk.jpg').shape == read_image(tmp_path / 'palette.png').shape == (64, 64, 3)
    bits = read_image(tmp_path / 'bits.png')
    assert bits.shape == (64, 64, 1) and set(np.unique(bits)) <= {0, 255}
    turned = Image.fromarray(picture(8, 12))
    exif = turned.getexif()
    exif[0x112] = 6
    turned.save(tmp_path / 'turned.png', exif=exif)
    assert np.array_equal(read_image(tmp_path / 'turned.png'), np.rot90(picture(8, 12), -1))


@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation_is_that_of_eight_bits(orientation, tmp_path):
    small = picture(8, 12, 1)[..., 0]
    for name, image in (('small.png', small), ('deep.png', small.astype(np.uint16) * 257)):
        turned = Image.fromarray(image)
        exif = turned.getexif()
        exif[0x112] = orientation
        turned.save(tmp_path / name, exif=exif)
    found = read_image(tmp_path / 'deep.png')
    assert (
        found.dtype == np.uint16
        and np.array_equal(found // 257, read_image(tmp_path / 'small.png'))
        and found.shape == ((8, 12, 1) if orientation < 5 else (12, 8, 1))
    )


def test_a_colour_that_is_not_there_is_alpha(tmp_path):
    """PNG may name one grey level or colour as transparent instead of holding alpha."""
    grey, rgb = picture(channels=1), picture()
    Image.fromarray(grey[..., 0]).save(tmp_path / 'grey.png', transparency=int(grey[3, 4, 0]))
    Image.fromarray(rgb).save(tmp_path / 'rgb.png', transparency=tuple(int(v) for v in rgb[3, 4]))
    found = read_image(tmp_path / 'grey.png'), read_image(tmp_path / 'rgb.png')
    assert (
        np.array_equal(found[0][..., 0] == grey[3, 4, 0], found[0][..., 1] == 0)
        and np.array_equal(found[1][..., :3], rgb)
        and found[1][3, 4, 3] == 0
        and (found[1][..., 3] == 255).mean() > 0.99
    )


def cut(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])


@pytest.mark.parametrize('name', ['a.png', 'a.jpg', 'deep.png'])
def test_cut_off_files_are_named(name, tmp_path):
    path = tmp_path / name
    write_image(path, picture(64, 64, dtype=np.uint16 if name == 'deep.png' else np.uint8))
    cut(path)
    with fails('broken-file', name) as error:
        read_image(path)
    assert '\n' not in str(error.value)


def test_bad_files(tmp_path):
    (tmp_path / 'text.png').write_text('no image')
    Image.fromarray(np.random.rand(8, 8).astype(np.float32)).save(tmp_path / 'float.tif')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
        write_image(tmp_path / 'large.png', picture())
        with pytest.raises(UserError, match='large.png.* is larger than Pillow opens .*cut it into parts'):
            read_image(tmp_path / 'large.png')
    for name, text in (('text.png', 'no image: replace'), ('missing.png', 'does not exist'), ('float.tif', '32 bits')):
        with pytest.raises(UserError, match=text):
            read_image(tmp_path / name)
    with pytest.raises(UserError, match='transparent pixels'):
        to_rgb(picture(channels=4), 'a.png')
    opaque = np.concatenate([picture(), np.full((24, 36, 1), 255, np.uint8)], 2)
    assert np.array_equal(to_rgb(opaque, 'a.png'), picture()) and to_rgb(picture(channels=1), 'a').shape == (24, 36, 3)
    for name, image, text in (
        ('a.jpg', picture(channels=4), 'cannot hold transparency'),
        ('a.jpg', picture(dtype=np.uint16), 'cannot hold 16 bits'),
        ('a.xyz', picture(), "format '.xyz'"),
    ):
        with pytest.raises(UserError, match=text):
            write_image(tmp_path / name, image)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match="empty' holds no image"):
        list_images(tmp_path / 'empty')
    with fails('no-such-file'):
        list_images(tmp_path / 'nowhere')


def test_cache_is_a_map_and_follows_the_file(tmp_path):
    import os

    write_image(tmp_path / 'a.png', picture())
    first = cached(tmp_path / 'a.png', tmp_path / 'cache')
    assert isinstance(first, np.memmap) and np.array_equal(first, picture()) and not first.flags.writeable
    stamp = next((tmp_path / 'cache').iterdir()).stat().st_mtime_ns
    cached(tmp_path / 'a.png', tmp_path / 'cache')
    assert [p.stat().st_mtime_ns for p in (tmp_path / 'cache').iterdir()] == [stamp]
    write_image(tmp_path / 'a.png', picture(seed=1))
    os.utime(tmp_path / 'a.png', ns=(stamp + 10**9, stamp + 10**9))
    assert (
        np.array_equal(cached(tmp_path / 'a.png', tmp_path / 'cache'), picture(seed=1)) and len(list((tmp_path / 'cache').iterdir())) == 2
    )
    for file in (tmp_path / 'cache').iterdir():
        cut(file)
    with pytest.raises(UserError, match='remove it, it is made anew'):
        cached(tmp_path / 'a.png', tmp_path / 'cache')


def pairs(folder, scale=2, sizes=((40, 60), (37, 51), (48, 48))):
    """A set of truths and degraded versions in ``folder``."""
    for i, size in enumerate(sizes):
        hr = picture(*size, seed=i)
        write_image(folder / f'HR/{i}.png', hr)
        write_image(folder / f'LR/{i}x{scale}.png', imresize(mod_crop(hr, scale), 1 / scale))
    return dict(
        type='vkd.BasicImageDataset',
        data_root=str(folder),
        data_prefix=dict(gt='HR', img='LR'),
        filename_tmpl=dict(img=f'{{}}x{scale}'),
        scale=scale,
    )


def load(cfg, *steps):
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build(
            dict(cfg, pipeline=[dict(type=f'vkd.{s}') if isinstance(s, str) else dict(s, type=f'vkd.{s["type"]}') for s in steps])
        )


LOAD = [dict(type='LoadImageFromFile', key='gt'), dict(type='LoadImageFromFile', key='img'), 'ModCrop', 'PackInputs']


def test_pairs_and_truths_alone_give_the_same(tmp_path):
    cfg = pairs(tmp_path / 'Mine')
    data = load(cfg, *LOAD)
    alone = load(dict(cfg, data_prefix=dict(gt='HR')), LOAD[0], 'ModCrop', 'MATLABLikeResize', 'PackInputs')
    assert len(data) == len(alone) == 3
    for a, b in zip(data, alone, strict=False):
        assert torch.equal(a['inputs'], b['inputs']) and torch.equal(a['data_samples'].gt_img, b['data_samples'].gt_img)
    item = data[1]
    assert item['inputs'].shape == (3, 18, 25) and item['data_samples'].gt_img.shape == (3, 36, 50) and item['inputs'].dtype == torch.uint8
    assert item['data_samples'].name == '1' and item['data_samples'].set == 'Mine' and item['data_samples'].scale == 2
    assert np.array_equal(item['data_samples'].gt_img.permute(1, 2, 0).numpy(), picture(37, 51, seed=1)[:36, :50])
    only = load(dict(cfg, data_prefix=dict(img='LR')), LOAD[1], 'PackInputs')
    assert torch.equal(only[0]['inputs'], data[0]['inputs']) and 'gt_img' not in only[0]['data_samples']


def test_mod_crop_is_told_of_once(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('vkd.datasets.restoration.print_log', lambda text, **kw: said.append(text))
    step = ModCrop()
    for size in ((40, 60), (41, 60), (43, 61)):
        assert step(dict(gt=picture(*size), scale=4, gt_path='a.png'))['gt'].shape == (40, 60, 3)
    assert len(said) == 1 and "'a.png' of 41x60 is cropped to multiples of 4" in said[0]


def test_sixteen_bits(tmp_path):
    deep = picture(dtype=np.uint16)
    packed = PackInputs.pack(deep, 'a')
    assert (
        packed.dtype == torch.float32
        and torch.equal(packed, torch.from_numpy(deep.astype(np.float32)).permute(2, 0, 1) / 257)
        and packed.max() <= 255
    )


def results(scale=2, h=20, w=30):
    """The truth holds, at each pixel, the numbers of the pixel of the image that it belongs to."""
    y, x = np.mgrid[:h, :w]
    image = np.stack([y, x, y + x], -1).astype(np.uint8)
    return dict(img=image, gt=image.repeat(scale, 0).repeat(scale, 1), scale=scale, gt_path='hr.png', img_path='lr.png', name='a', set='s')


def belongs(out):
    return np.array_equal(out['img'].repeat(out['scale'], 0).repeat(out['scale'], 1), out['gt'])


def test_patches_and_symmetries_stay_paired():
    np.random.seed(0)
    seen = set()
    for _ in range(60):
        out = results()
        for step in (PairedRandomCrop(16), Flip(), Flip(direction='vertical'), RandomTransposeHW()):
            out = step(out)
        assert belongs(out) and out['gt'].shape == (16, 16, 3)
        top, right, down = out['img'][0, 0].astype(int), out['img'][0, -1].astype(int), out['img'][-1, 0].astype(int)
        seen.add((*np.sign(right - top)[:2], *np.sign(down - top)[:2]))
    assert len(seen) == 8
    corners = {tuple(PairedRandomCrop(16)(results())['img'][0, 0, :2]) for _ in range(2000)}
    assert corners == {(y, x) for y in range(13) for x in range(23)}
    assert Flip(flip_ratio=0)(results())['img'][0, 0].tolist() == [0, 0, 0] and Flip(flip_ratio=1)(results())['img'][0, 0].tolist() == [
        0,
        29,
        29,
    ]
    packed = PackInputs()(Flip(flip_ratio=1)(results()))
    assert packed['inputs'].is_contiguous() and packed['inputs'][1, 0, 0] == 29


def test_random_degradation_is_fixed_by_a_seed():
    source = dict(gt=picture(48, 64), scale=2, name='a', set='s')
    one, two, other = (RandomDegradation(seed=s)(dict(source))['img'] for s in (1, 1, 2))
    assert np.array_equal(one, two) and not np.array_equal(one, other) and one.shape == (24, 32, 3)
    assert not np.array_equal(one, RandomDegradation(seed=1)(dict(source, name='b'))['img'])
    drawn = []
    for _ in range(2):
        np.random.seed(5)
        drawn.append(RandomDegradation()(dict(source))['img'])
    assert np.array_equal(*drawn) and not np.array_equal(drawn[0], RandomDegradation()(dict(source))['img'])


def test_several_sets_as_one(tmp_path):
    cfg = pairs(tmp_path / 'root/Set5')
    pairs(tmp_path / 'root/b/Mine')
    own = load(
        dict(
            cfg,
            data_root=str(tmp_path / 'root'),
            data_prefix=dict(gt='HR', img='LR'),
            filename_tmpl=dict(img='{}x{scale}'),
            sets=dict(Set5='Set5', Other='b/Mine'),
        ),
        *LOAD,
    )
    assert [(item['data_samples'].set, item['data_samples'].name) for item in own] == [(s, n) for s in ('Set5', 'Other') for n in '012']
    with pytest.raises(
        UserError, match="Set 'Other' is not there: .*Nowhere' does not exist; put it there, or leave the set out .dataset.sets.Other=None."
    ):
        load(dict(cfg, data_root=str(tmp_path / 'root'), sets=dict(Set5='Set5', Other='Nowhere')), *LOAD)
    assert len(load(dict(cfg, data_root=str(tmp_path / 'root'), data_prefix=dict(gt='HR'), sets=dict(Set5='Set5', Other=None)), *LOAD)) == 3
    with pytest.raises(UserError, match='every set is left out'):
        load(dict(cfg, data_root=str(tmp_path / 'root'), sets=dict(Set5=None)), *LOAD)


def test_small_images_are_left_out_where_it_is_asked_for(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('vkd.datasets.restoration.print_log', lambda text, **kw: said.append(text))
    cfg = pairs(tmp_path / 'Mine')
    assert (
        [item['data_samples'].name for item in load(dict(cfg, filter_cfg=dict(min_size=40)), *LOAD)] == ['0', '2']
        and len(said) == 1
        and '1 of 3 images' in said[0]
    )
    crop = [*LOAD[:3], dict(type='PairedRandomCrop', gt_patch_size=40), 'PackInputs']
    assert load(dict(cfg, filter_cfg=dict(min_size=40)), *crop)[1]['inputs'].shape == (3, 20, 20)
    with pytest.raises(UserError, match=r"HR/1.png' is 37x51, smaller than the patch of 40x40; .* filter_cfg=dict\(min_size=40\)"):
        load(cfg, *crop)
    for wrong, text in ((dict(min_size=500), 'No image of Mine .* sides of 500 pixels'), (dict(size=3), "filter_cfg has 'size'")):
        with pytest.raises(UserError, match=text):
            load(dict(cfg, filter_cfg=wrong), *LOAD)


def test_what_is_reduced_can_be_cached_too(tmp_path):
    cfg = dict(pairs(tmp_path / 'Mine'), data_prefix=dict(gt='HR'))
    plain, kept = (
        load(cfg, LOAD[0], 'ModCrop', dict(type='MATLABLikeResize', cache=cache), 'PackInputs') for cache in (None, str(tmp_path / 'cache'))
    )
    for _ in range(2):
        assert all(torch.equal(a['inputs'], b['inputs']) for a, b in zip(plain, kept, strict=False))
    other = load(dict(cfg, scale=3), LOAD[0], 'ModCrop', dict(type='MATLABLikeResize', cache=str(tmp_path / 'cache')), 'PackInputs')
    assert other[0]['inputs'].shape == (3, 13, 20) and len(list((tmp_path / 'cache').iterdir())) == 4


def test_pictures_are_drawn_alike_and_apart():
    a = draw_picture((0, 0, 3))
    draw_picture.cache_clear()
    assert (
        np.array_equal(a, draw_picture((0, 0, 3)))
        and not np.array_equal(a, draw_picture((0, 1, 3)))
        and a.shape == (96, 96, 3)
        and a.dtype == np.uint8
    )
    data = load(
        dict(type='vkd.DemoPictureDataset', split='val', length=3, scale=4, size=(64, 96)), 'DrawPicture', 'MATLABLikeResize', 'PackInputs'
    )
    assert len(data) == 3 and data[0]['inputs'].shape == (3, 16, 24) and data[0]['data_samples'].name == 'val-0'
    # what is drawn holds detail that interpolation loses: bicubic is far from the truth
    truth = np.stack([draw_picture((0, 2, i)) for i in range(5)]).astype(float)
    back = np.stack([imresize(imresize(draw_picture((0, 2, i)), 1 / 4), 4) for i in range(5)])
    assert 10 * np.log10(255**2 / ((truth - back) ** 2).mean()) < 24


@pytest.mark.parametrize(
    'call, text',
    [
        (
            lambda f: load(dict(pairs(f), scale=4), *LOAD)[0],
            r"HR/0.png' is 40x60 and image .*LR/0x2.png' is 20x30 \(height x width\), not 4 times smaller",
        ),
        (lambda f: load(dict(pairs(f), filename_tmpl=dict(img='{}x3')), *LOAD), "0.png' has no degraded version '0x3'"),
        (lambda f: load(dict(pairs(f), data_root=str(f / 'no')), *LOAD), 'does not exist'),
        (lambda f: load(dict(pairs(f), data_prefix=dict(gt='X')), *LOAD), "X' does not exist; give a folder of images"),
        (lambda f: load(dict(pairs(f), data_prefix=dict(hr='X')), *LOAD), r"data_prefix names \['hr'\]; give gt, img, or both"),
        (
            lambda f: load(pairs(f, sizes=((40, 60),)), *LOAD) and write_image(f / 'LR/0x2.jpg', picture()) or load(pairs(f), *LOAD),
            "0x2.jpg' and '0x2.png' have one name",
        ),
        (
            lambda f: RandomDegradation()(dict(results(), gt=picture(dtype=np.uint16))),
            "Image 'hr.png': jpeg: an image of type uint16 was given",
        ),
        (lambda f: PairedRandomCrop(64)(results()), r"'lr.png' is 20x30, smaller than the patch of 32x32"),
        (lambda f: PairedRandomCrop(15)(results()), 'gt_patch_size is 15, which the scale 2 does not divide'),
        (lambda f: PairedRandomCrop(15)(dict(results(), scale=3)), "Image 'hr.png' is 40x60 and image 'lr.png' is 20x30"),
        (
            lambda f: MATLABLikeResize()(dict(results(), gt=picture(41, 60))),
            "'hr.png' is 41x60, which 2 does not divide; put ModCrop before",
        ),
        (lambda f: ModCrop()(dict(results(), gt=picture(3, 9), scale=4)), "'hr.png' is 3x9, less than one pixel at a scale of 4"),
        (lambda f: Flip(direction='up'), "'up' is unknown"),
        (lambda f: PackInputs()(dict(results(), gt=np.full((40, 60, 3), np.nan))), "'hr.png' holds values that are not finite"),
        (lambda f: LoadImageFromFile('gt')(dict(gt_path=str(f / 'a.png'))), "a.png' does not exist"),
    ],
)
def test_bad_input(call, text, tmp_path):
    with pytest.raises(UserError, match=text) as error:
        call(tmp_path / 'Mine')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('name, batch, size', [('imdn-as_300k_realsr', 6, 192), ('imdn-as_quick_t91-bsds-degraded', 8, 96)])
def test_data_of_one_size_as_configs_load_them(name, batch, size, tmp_path, monkeypatch):
    from helpers import ROOT

    from vkd.build.built import build_loader
    from vkd.build.config import load_config

    folders = (
        [f'RealSR/{split}/{kind}' for split in ('train', 'val') for kind in ('HR', 'LR')]
        + [f'sr/train/{k}' for k in ('T91', 'BSDS')]
        + [f'sr/test/{k}/HR' for k in ('Set5', 'Set14', 'BSD100')]
    )
    for i, folder in enumerate(folders):
        write_image(tmp_path / folder / 'a.png', picture(193, 197, seed=i))
    monkeypatch.setenv('VKD_DATA_ROOT', str(tmp_path))
    monkeypatch.chdir(tmp_path)  # where the cache is
    cfg = load_config(ROOT / f'configs/alone/alone_{name}.py')
    data = next(iter(build_loader(cfg)))
    assert {x.shape for x in data['inputs']} == {(3, size, size)} == {s.gt_img.shape for s in data['data_samples']} and len(
        data['inputs']
    ) == batch
    own, again = (next(iter(build_loader(cfg, 'test_dataloader'))) for _ in range(2))
    assert (
        own['inputs'][0].shape == (3, 193, 197)
        and torch.equal(own['inputs'][0], again['inputs'][0])
        and not torch.equal(own['inputs'][0], own['data_samples'][0].gt_img)
    )
    assert (
        own['data_samples'][0].set == ('RealSR' if 'realsr' in name else 'Set5')
        and cfg.test_evaluator.crop_border == 0
        and cfg.test_evaluator.convert_to is None
    )


def test_preparing_a_folder(tmp_path, capsys):
    import importlib.util

    from helpers import ROOT

    spec = importlib.util.spec_from_file_location('prepare_sr', ROOT / 'tools/prepare_sr.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for i, size in enumerate(((40, 60), (37, 51))):
        write_image(tmp_path / f'HR/{i}.png', picture(*size, seed=i))

    def run(*words):
        tool.main(tool.arguments().parse_args([str(tmp_path / 'HR'), '--out', str(tmp_path / 'LR'), *words]))
        return capsys.readouterr().out.strip().splitlines()[-1]

    assert '4 images made of 2' in run('--scale', '2', '3') and '2 images made of 2' in run() and '0 images made of 2' in run()
    assert sorted(p.relative_to(tmp_path / 'LR').as_posix() for p in (tmp_path / 'LR').rglob('*.png')) == [
        f'X{s}/{i}x{s}.png' for s in (2, 3, 4) for i in (0, 1)
    ]
    assert np.array_equal(read_image(tmp_path / 'LR/X3/1x3.png'), imresize(picture(37, 51, seed=1)[:36], 1 / 3))
    pair = load(
        dict(
            type='vkd.BasicImageDataset',
            data_root=str(tmp_path),
            data_prefix=dict(gt='HR', img='LR/X{scale}'),
            filename_tmpl=dict(img='{}x{scale}'),
            scale=3,
        ),
        *LOAD,
    )
    assert pair[1]['inputs'].shape == (3, 12, 17)
    with pytest.raises(UserError, match='--scale 1 makes nothing smaller'):
        run('--scale', '1')
    write_image(tmp_path / 'HR/0.bmp', picture(40, 60, seed=3))
    with pytest.raises(UserError, match='0.bmp.*0.png.*would both become 0x2.png'):
        run('--overwrite')
