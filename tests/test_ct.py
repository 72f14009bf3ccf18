"""Slices: files, lists by patient, the scanner and its cache, metrics by window, and restoring them."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT
from helpers.ct import SCANNER, config, distiller, restorer, slices
from helpers.errors import fails
from helpers.networks import build

from vkd import UserError
from vkd.datasets import ClipHU, CTSliceDataset, PackCTInputs, ResizeHU
from vkd.datasets.demo_phantoms import draw_phantom
from vkd.evaluation.ct import CTMetric, window_scores
from vkd.io.files import write_json
from vkd.io.images import read_image, write_image
from vkd.io.slices import list_series, read_slice, write_slice
from vkd.models.restorers import SparseViewCTPreprocessor
from vkd.physics.fan_beam import Geometry, fbp, project
from vkd.physics.hounsfield import hu_to_mu
from vkd.restore.ct import plan_slices, restore_slice, restore_slices

pydicom = pytest.importorskip('pydicom', reason="DICOM: pip install -e '.[ct]'")


def dicom(path, hu, z=0.0, spacing=0.7, series='1.2.3', signed=True, slope=1, intercept=-1024):
    """A CT slice as a scanner writes it."""
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = pydicom.uid.CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = pydicom.uid.generate_uid()
    data.SeriesInstanceUID, data.PatientID, data.Modality, data.ImageType = series, 'p', 'CT', ['ORIGINAL', 'PRIMARY', 'AXIAL']
    data.Rows, data.Columns, data.PixelSpacing, data.SliceThickness = *hu.shape, [spacing, spacing], 2.5
    data.ImagePositionPatient, data.ImageOrientationPatient = [-10, -20, z], [1, 0, 0, 0, 1, 0]
    data.SamplesPerPixel, data.PhotometricInterpretation, data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = (
        1,
        'MONOCHROME2',
        16,
        16,
        15,
        int(signed),
    )
    data.RescaleSlope, data.RescaleIntercept = slope, intercept
    data.PixelData = np.rint((hu - intercept) / slope).astype(np.int16 if signed else np.uint16).tobytes()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return data


# -- files -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize('suffix', ['.png', '.npy', '.dcm'])
def test_slices_come_back(suffix, tmp_path):
    hu, file = np.rint(draw_phantom(0, 32)), tmp_path / f'a{suffix}'
    if suffix == '.dcm':
        dicom(file, hu)
    else:
        write_slice(file, hu)
    found, header = read_slice(file)
    assert found.dtype == np.float32 and np.array_equal(found, hu) and (header is not None) == (suffix == '.dcm')
    write_slice(tmp_path / f'b{suffix}', found + 7, header)
    assert np.array_equal(read_slice(tmp_path / f'b{suffix}')[0], hu + 7)


def test_deeplesions_offset(tmp_path):
    write_image(tmp_path / 'a.png', (np.full((4, 4), 40) + 32768).astype(np.uint16)[..., None])
    assert (read_slice(tmp_path / 'a.png', 32768)[0] == 40).all()
    with pytest.raises(UserError, match='between 31784 and 31784 HU.*another one'):
        read_slice(tmp_path / 'a.png')


def test_files_that_are_no_slices(tmp_path):
    write_image(tmp_path / 'grey.png', np.zeros((4, 4, 1), np.uint8))
    write_image(tmp_path / 'colour.png', np.zeros((4, 4, 3), np.uint16))
    np.save(tmp_path / 'nan.npy', np.full((4, 4), np.nan))
    np.save(tmp_path / 'volume.npy', np.zeros((2, 4, 4)))
    np.save(tmp_path / 'objects.npy', np.array([{}], object), allow_pickle=True)
    (tmp_path / 'cut.npy').write_bytes((tmp_path / 'volume.npy').read_bytes()[:150])
    (tmp_path / 'text.dcm').write_text('no CT')
    dicom(tmp_path / 'whole.dcm', np.zeros((8, 8)))
    (tmp_path / 'half.dcm').write_bytes((tmp_path / 'whole.dcm').read_bytes()[:-64])
    for name, text in (
        ('grey.png', '8 bits and 1 channel;'),
        ('colour.png', '16 bits and 3 channels'),
        ('nan.npy', 'not finite'),
        ('volume.npy', 'of shape'),
        ('objects.npy', 'cannot be read'),
        ('cut.npy', 'cannot be read'),
        ('text.dcm', 'cannot be read as DICOM'),
        ('half.dcm', 'cannot be decoded'),
        ('none.npy', 'missing'),
        ('none.dcm', 'does not exist'),
        ('none.png', 'does not exist'),
    ):
        with pytest.raises(UserError, match=text) as error:
            read_slice(tmp_path / name)
        assert name in str(error.value) and '\n' not in str(error.value)


def series(folder, places=(0, 2.5, 5), **more):
    for i, z in enumerate(places):
        dicom(Path(folder, f'{9 - i}.dcm'), np.rint(draw_phantom((1, i), 32)), z=z, **more)
    return Path(folder)


def test_a_series_is_in_order_of_place_and_whole(tmp_path):
    assert [p.name for p in list_series(series(tmp_path / 'whole'))] == ['9.dcm', '8.dcm', '7.dcm']
    series(tmp_path / 'spacing')
    dicom(tmp_path / 'spacing/x.dcm', np.zeros((32, 32)), z=7.5, spacing=0.9)
    series(tmp_path / 'two')
    dicom(tmp_path / 'two/x.dcm', np.zeros((32, 32)), z=7.5, series='1.2.4')
    (tmp_path / 'empty').mkdir()
    for folder, text in (
        (tmp_path / 'spacing', r'unlike spacing: \[0.9, 0.9\] of .x.dcm.|unlike spacing: \[0.7, 0.7\]'),
        (tmp_path / 'two', 'unlike series'),
        (series(tmp_path / 'gap', (0, 2.5, 5, 10)), 'are 5.00 mm, elsewhere 2.50; a slice is missing'),
        (series(tmp_path / 'same', (0, 2.5, 2.5)), 'lie at the same place'),
        (tmp_path / 'empty', 'is empty'),
    ):
        with pytest.raises(UserError, match=text):
            list_series(folder)


# -- data sets ---------------------------------------------------------------------------------------------------------
PIPELINE = [dict(type='vkd.LoadCTSlice'), dict(type='vkd.ResizeHU', size=16), dict(type='vkd.ClipHU'), dict(type='vkd.PackCTInputs')]


def indexed(folder):
    rows = [dict(png=f'slices/{p}/{i}.png', patient=p) for p in ('a1', 'a2', 'b', 'c') for i in range(2)]
    for i, row in enumerate(rows):
        write_slice(folder / row['png'], np.full((32, 32), 10.0 * i))
    write_json(folder / 'index.json', rows)
    return dict(data_root=str(folder), index='index.json', splits=dict(train=['a?'], val=['b'], test={'other': ['c']}), pipeline=PIPELINE)


def test_splits_by_patient(tmp_path):
    options = indexed(tmp_path)
    train, test = CTSliceDataset(split='train', **options), CTSliceDataset(split='test', **options)
    assert [train.get_data_info(i)['patient'] for i in range(len(train))] == ['a1', 'a1', 'a2', 'a2'] and len(test) == 2
    item = test[1]
    assert (
        item['inputs'].shape == (1, 16, 16)
        and item['inputs'].dtype == torch.float32
        and item['data_samples'].set == 'other'
        and item['data_samples'].patient == 'c'
    )
    assert item['inputs'].mean().item() == pytest.approx(hu_to_mu(70))
    for splits, split, text in (
        (dict(train=['a?', 'b'], val=['b']), 'train', "patient 'b' is in the splits 'train' and 'val'"),
        (dict(train=['z*']), 'train', "no patient .* is called 'z\\*'; there are a1, a2"),
        (dict(train=['a1']), 'test', "split 'test' is none of train"),
    ):
        with pytest.raises(UserError, match=text):
            CTSliceDataset(**{**options, 'splits': splits, 'split': split})


def test_the_lists_of_deeplesion(tmp_path):
    root = tmp_path / 'Images_png'
    for name in ('000001_01_01/103.png', '000001_01_01/104.png', '000002_03_01/001.png'):
        write_image(root / name, np.full((8, 8, 1), 32768, np.uint16))
    (tmp_path / 'train.txt').write_text('000001_01_01/103.png\n000001_01_01/104.png\n')
    (tmp_path / 'test.txt').write_text('000002_03_01/001.png\n')
    options = dict(
        data_root=str(root),
        lists=dict(train='../train.txt', test='../test.txt'),
        pipeline=[dict(type='vkd.LoadCTSlice', offset=32768), dict(type='vkd.PackCTInputs')],
    )
    data = CTSliceDataset(split='train', **options)
    assert len(data) == 2 and data.get_data_info(0)['patient'] == '000001' and (data[0]['inputs'] == torch.tensor(0.192)).all()
    (tmp_path / 'test.txt').write_text('000001_02_01/001.png\n')
    with pytest.raises(UserError, match="patient '000001' is in the splits"):
        CTSliceDataset(split='train', **options)
    (tmp_path / 'test.txt').write_text('000009_02_01/001.png\n')
    with pytest.raises(UserError, match='lists .*000009.*does not exist'):
        CTSliceDataset(split='test', **options)


def test_the_places_of_aapm(tmp_path):
    for i in range(6):
        np.save(tmp_path / f'L{i // 2:03}_{i:04}.npy', np.full((8, 8), float(i)))
    options = dict(
        data_root=str(tmp_path),
        splits=dict(train=(0, 4), test=(-2, None)),
        pipeline=[dict(type='vkd.LoadCTSlice'), dict(type='vkd.PackCTInputs')],
    )
    assert [CTSliceDataset(split='test', **options).get_data_info(i)['name'] for i in range(2)] == ['L002_0004', 'L002_0005']
    for splits, text in ((dict(train=(0, 3), test=(-3, None)), "patient 'L001' is in"), (dict(train=(0, 60)), 'holds 6 .npy files')):
        with pytest.raises(UserError, match=text):
            CTSliceDataset(split='train', **{**options, 'splits': splits})


def test_transforms():
    hu = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert (
        ResizeHU(2, 'area').transform(dict(hu=hu))['hu'].tolist()
        == [[2.5, 4.5], [10.5, 12.5]]
        == ResizeHU(2, 'bilinear').transform(dict(hu=hu))['hu'].tolist()
    )
    assert ResizeHU(2, 'bicubic').transform(dict(hu=hu))['hu'].shape == (2, 2) and ResizeHU(4).transform(dict(hu=hu))['hu'] is hu
    assert ClipHU(3, 5).transform(dict(hu=hu))['hu'].max() == 5
    with fails('unknown-choice', 'cubic'):
        ResizeHU(2, 'cubic')
    with pytest.raises(UserError, match='neither air nor tissue'):
        PackCTInputs().transform(dict(hu=hu + 9000, name='x'))


def test_phantoms_are_drawn_from_a_seed():
    a, b = draw_phantom((0, 0, 1), 64), draw_phantom((0, 0, 2), 64)
    assert (
        a.min() == -1000
        and 300 < a.max() < 1300
        and not np.array_equal(a, b)
        and np.array_equal(a, draw_phantom.__wrapped__((0, 0, 1), 64))
    )


def test_the_real_slices(ct_data):
    from vkd.build.config import load_config

    cfg = load_config(ROOT / 'configs/alone/alone_untouched_quick_ct-slices-128x128-36v.py')
    sizes = {}
    for key in ('train', 'val', 'test'):
        data = CTSliceDataset(**{k: v for k, v in cfg[f'{key}_dataloader'].dataset.items() if k != 'type'})
        sizes[key] = len(data)
        assert data[0]['inputs'].shape == (1, 128, 128) and data[0]['inputs'].min() >= -0.005 and data[0]['inputs'].max() < 0.79
    assert sizes == dict(train=143, val=5, test=58)


# -- the scanner -------------------------------------------------------------------------------------------------------
def scanner(**more):
    return SparseViewCTPreprocessor(**{**{k: v for k, v in SCANNER.items() if k != 'type'}, **more})


def test_what_the_scanner_gives():
    data, geometry = slices(), Geometry(**SCANNER['geometry'])
    mu = torch.stack(data['inputs'])
    out = scanner()(slices(), True)
    for found, views in (
        (out['inputs']['student'], 8),
        (out['inputs']['dense'], 16),
        (torch.stack([s.gt_img for s in out['data_samples']]), 48),
    ):
        own = geometry.with_views(views)
        torch.testing.assert_close(found, fbp(project(mu, own), own))
    assert torch.equal(scanner()(slices(), False)['inputs'], out['inputs']['student']) and torch.equal(
        scanner(teacher_views=None)(slices(), True)['inputs'], out['inputs']['student']
    )
    air = scanner(noise=dict(photons=1e5))(dict(inputs=[torch.zeros(1, 32, 32)]), False)['inputs']
    assert air.isfinite().all() and air.abs().max() < 0.02


def test_views_that_are_not_nested_are_told_of(monkeypatch):
    told = []
    monkeypatch.setattr('vkd.models.restorers.ct_preprocessor.print_log', lambda text, **_: told.append(text))
    own = scanner(views=7)
    assert told == ['7 views do not divide the 48 of the full scan: their angles are not among its']
    assert own(slices(), False)['inputs'].shape == (2, 1, 32, 32) and len(told) == 1


def test_noise_is_each_slices_own_in_tests_and_drawn_in_training():
    own = scanner(noise=dict(photons=1e5))
    both = own(slices(), False)['inputs']
    assert torch.equal(own(dict(inputs=slices()['inputs'][1:]), False)['inputs'], both[1:])
    assert not torch.equal(scanner(noise=dict(photons=1e5), seed=1)(slices(), False)['inputs'], both)
    first, second = (own(slices(), True)['inputs']['student'] for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    a = own(slices(), True)['inputs']['dense']
    torch.manual_seed(3)
    assert torch.equal(own(slices(), True)['inputs']['dense'], a)


def test_the_cache_is_right_whole_and_made_once(tmp_path, monkeypatch):
    plain, calls = scanner()(slices(), True), []
    real = project
    monkeypatch.setattr('vkd.models.restorers.ct_preprocessor.project', lambda *args: calls.append(len(args[0])) or real(*args))

    def compare(n, **more):
        calls.clear()
        out = scanner(cache=str(tmp_path), **more)(slices(), True)
        assert sum(calls) == n
        return out

    for n in (2, 0):  # the full scan is projected, and the others are parts of it
        out = compare(n)
        assert all(torch.equal(out['inputs'][k], plain['inputs'][k]) for k in plain['inputs']) and all(
            torch.equal(a.gt_img, b.gt_img) for a, b in zip(out['data_samples'], plain['data_samples'], strict=False)
        )
    assert len(list(tmp_path.iterdir())) == 6
    files = sorted(tmp_path.iterdir(), key=lambda p: p.stat().st_mtime_ns)
    files[0].unlink()
    compare(1)
    # another geometry, other files
    assert (
        compare(2, geometry=dict(SCANNER['geometry'], source=150.0))['data_samples'][0]
        .gt_img.sub(plain['data_samples'][0].gt_img)
        .abs()
        .max()
        > 0
    )
    assert compare(2, weight='textbook') and len(list(tmp_path.iterdir())) == 18
    noisy = scanner(cache=str(tmp_path), noise=dict(photons=1e4))(slices(), True)
    assert (
        torch.equal(noisy['data_samples'][0].gt_img, plain['data_samples'][0].gt_img)
        and not torch.equal(noisy['inputs']['student'], plain['inputs']['student'])
        and len(list(tmp_path.iterdir())) == 18
    )


def test_a_kill_leaves_no_half_file(tmp_path, monkeypatch):
    def killed(file, image):
        file.write(b'half')
        raise KeyboardInterrupt

    monkeypatch.setattr('vkd.models.restorers.ct_preprocessor.np.save', killed)
    with pytest.raises(KeyboardInterrupt):
        scanner(cache=str(tmp_path))(slices(), True)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    own = scanner(cache=str(tmp_path))
    own(slices(), True)
    broken = next(tmp_path.iterdir())
    broken.write_bytes(broken.read_bytes()[:-7])
    with pytest.raises(UserError, match=f'{broken.name}.*remove it'):
        own(slices(), True)


def test_a_scanner_that_does_not_fit():
    for options, text in (
        (dict(weight='fdk'), "weight 'fdk' is unknown"),
        (dict(noise=dict(fotons=1)), "no option 'fotons'"),
        (dict(geometry=dict(size=512)), 'corner pixels of 512x512'),
    ):
        with pytest.raises(UserError, match=text):
            scanner(**options)
    for inputs, text in (
        ([torch.zeros(1, 32, 32), torch.zeros(1, 32, 30)], 'slices of 1x32x30 and 1x32x32'),
        ([torch.zeros(1, 30, 32)], 'The geometry is of an image of 32x32'),
    ):
        with pytest.raises(UserError, match=text):
            scanner()(dict(inputs=inputs))


# -- metrics -----------------------------------------------------------------------------------------------------------
def evaluated(pairs, **more):
    metric = CTMetric(**more)
    metric.process(
        None,
        [
            dict(name=str(i), patient=p, set=s, pred_img=hu_to_mu(a).float()[None], gt_img=hu_to_mu(b).float()[None])
            for i, (s, p, a, b) in enumerate(pairs)
        ],
    )
    return metric.evaluate(len(pairs)), metric.report


def test_scores_by_window_patient_and_set():
    zero = torch.zeros(16, 16)
    scores, report = evaluated(
        [
            ('chest', 'a', zero + 30, zero),
            ('chest', 'a', zero + 60, zero),
            ('chest', 'b', zero - 15, zero),
            ('head', 'c', zero + 3000, zero + 2500),
        ]
    )
    own = report['sets']['chest w500c50']
    assert own['RMSE'] == pytest.approx(35, abs=1e-3) and own['per_patient']['a'] == dict(
        images=2,
        RMSE=pytest.approx(45, abs=1e-3),
        PSNR=pytest.approx((own['per_image']['a:0'][0] + own['per_image']['a:1'][0]) / 2),
        SSIM=own['per_patient']['a']['SSIM'],
    )
    assert own['per_image']['a:0'][0] == pytest.approx(20 * np.log10(500 / 30), abs=1e-3) and own['spread']['RMSE'] == dict(
        std=pytest.approx(np.std([30, 60, 15]), abs=1e-3), min=pytest.approx(15, abs=1e-3), max=pytest.approx(60, abs=1e-3)
    )
    # both are beyond the first window
    assert report['sets']['head w3000c500']['PSNR'] == 100 and report['sets']['head w3000c500']['RMSE'] == 0
    assert (
        report['RMSE'] == report['sets']['chest w3000c500']['RMSE'] == pytest.approx(35, abs=1e-3)
        and scores['PSNR'] == round(report['PSNR'], 4)
        and 'head w800c-600/SSIM' in scores
    )
    json.dumps(report, allow_nan=False)
    assert evaluated([('chest', 'a', zero + 30, zero), ('head', 'c', zero + 1, zero)], main='head')[1]['RMSE'] == pytest.approx(1, abs=1e-3)


def test_ssim_is_that_of_a_map_with_zeros_around():
    from torch.nn.functional import conv2d

    random = torch.Generator().manual_seed(0)
    a, b = (torch.rand(1, 20, 24, generator=random, dtype=torch.float64) * 3000 - 1000 for _ in range(2))
    g = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / 4.5)
    kernel = (g[:, None] * g / g.sum() ** 2)[None, None]

    def mean(x):
        return conv2d(x[None], kernel, padding=5)[0]

    x, y = (a + 1000) / 3000, (b + 1000) / 3000
    m, n = mean(x), mean(y)
    wanted = (
        (2 * m * n + 1e-4) * (2 * (mean(x * y) - m * n) + 9e-4) / ((m**2 + n**2 + 1e-4) * (mean(x * x) - m**2 + mean(y * y) - n**2 + 9e-4))
    ).mean()
    assert window_scores(a, b, 3000, 500)[1].item() == pytest.approx(wanted.item(), rel=1e-9)


def test_slices_that_cannot_be_scored():
    with pytest.raises(UserError, match='a:0: prediction 1x16x16 and truth 1x16x17'):
        evaluated([('t', 'a', torch.zeros(16, 16), torch.zeros(16, 17))])
    with pytest.raises(UserError, match='not finite'):
        evaluated([('t', 'a', torch.full((16, 16), float('nan')), torch.zeros(16, 16))])
    with fails('incomplete-set', '1 images of a set of 2'):
        metric = CTMetric()
        metric.process(None, [dict(pred_img=torch.zeros(1, 16, 16), gt_img=torch.zeros(1, 16, 16))])
        metric.evaluate(2)


# -- restoring ---------------------------------------------------------------------------------------------------------
def test_slices_keep_their_kind_and_size(tmp_path):
    model, hu = build(restorer()).eval(), np.rint(draw_phantom(5, 30))
    for name in ('a.png', 'b.npy'):
        write_slice(tmp_path / 'in' / name, hu)
    series(tmp_path / 'series')
    files = restore_slices(model, [tmp_path / 'in', tmp_path / 'series'], tmp_path / 'out', progress=False)
    assert [f.name for f in files] == ['a.png', 'b.npy', '9.dcm', '8.dcm', '7.dcm']
    png, npy = (read_slice(tmp_path / 'out' / name)[0] for name in ('a.png', 'b.npy'))
    assert png.shape == npy.shape == (30, 30) and np.abs(png - npy).max() <= 0.5 and np.array_equal(npy, restore_slice(model, hu))
    made = []
    for name in ('9.dcm', '8.dcm', '7.dcm'):
        old, new = (pydicom.dcmread(tmp_path / folder / name) for folder in ('series', 'out'))
        for tag in (
            'PixelSpacing',
            'SliceThickness',
            'ImagePositionPatient',
            'ImageOrientationPatient',
            'Rows',
            'Columns',
            'RescaleSlope',
            'RescaleIntercept',
            'PatientID',
            'Modality',
        ):
            assert old[tag] == new[tag]
        assert new.ImageType[0] == 'DERIVED' and new.SOPInstanceUID != old.SOPInstanceUID and new.SeriesInstanceUID != old.SeriesInstanceUID
        made.append(new.SeriesInstanceUID)
        np.testing.assert_allclose(
            read_slice(tmp_path / 'out' / name)[0], restore_slice(model, read_slice(tmp_path / 'series' / name)[0]), atol=0.51
        )
    with fails('file-exists', '4 more'):
        plan_slices([tmp_path / 'in', tmp_path / 'series'], tmp_path / 'out')
    for name in ('a.png', 'b.npy'):
        (tmp_path / 'out' / name).unlink()
    assert len(set(made)) == 1 and len(list_series(tmp_path / 'out')) == 3
    for sources, out, text in (
        ([tmp_path / 'in'], tmp_path / 'in', 'is the folder of the input'),
        ([tmp_path / 'no'], tmp_path / 'x', 'does not exist'),
        ([tmp_path / 'in', tmp_path / 'in/a.png'], tmp_path / 'x', 'would both become'),
    ):
        with pytest.raises(UserError, match=text):
            plan_slices(sources, out)


def test_the_tool_simulates_on_demand(tmp_path, capsys):
    cfg = config(tmp_path / 'run', distiller())
    cfg.dump(tmp_path / 'cfg.py')
    torch.save(dict(state_dict=build(distiller()).state_dict()), tmp_path / 'iter_1.pth')
    write_slice(tmp_path / 'in/a.npy', draw_phantom(5, 32))
    write_image(tmp_path / 'in/bad.png', np.zeros((32, 32, 1), np.uint8))
    spec = importlib.util.spec_from_file_location('restore_tool', ROOT / 'tools/restore.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    found = []
    for out, more in (('plain', []), ('seen', ['--simulate'])):
        words = [
            str(tmp_path / 'cfg.py'),
            str(tmp_path / 'iter_1.pth'),
            str(tmp_path / 'in'),
            '--out',
            str(tmp_path / out),
            '--no-progress',
            '--device',
            'cpu',
            *more,
        ]
        with pytest.raises(UserError, match='1 of 2 slices could not be restored; .*bad.png.*8 bits'):
            tool.main(tool.arguments().parse_args(words))
        found.append(np.load(tmp_path / out / 'a.npy'))
    assert found[0].shape == (32, 32) and not np.array_equal(*found)


def test_pictures_of_a_run(tmp_path):
    from vkd.engine import build_runner
    from vkd.runs.pictures import pictures
    from vkd.visualize.ct import ct_picture

    cfg = config(tmp_path / 'run', distiller(), 1)
    runner = build_runner(cfg)
    runner.train()
    runner.test()
    shown = pictures(runner, count=2)
    assert (
        str(shown.pop('image_name')) == '8 views'
        and set(shown) == {'image', 'truth', 'pred'}
        and all(v.dtype == np.uint8 and v.shape == (2, 240, 240, 3) for v in shown.values())
    )
    ct_picture(cfg, tmp_path / 'run/iter_1.pth', [2], tmp_path / 'ct.png', windows=[(500, 50)])
    assert read_image(tmp_path / 'ct.png').shape[2] in (3, 4)
    with pytest.raises(UserError, match='index 3'):
        ct_picture(cfg, tmp_path / 'run/iter_1.pth', [3], tmp_path / 'ct.png')
