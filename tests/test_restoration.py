"""PSNR and SSIM."""

import json

import numpy as np
import pytest
import torch
from helpers.restored import NAMES, evaluated, near, picture, samples
from mmengine.structures import BaseDataElement
from PIL import Image

from vkd import UserError
from vkd.build.checkpoint import load_weights
from vkd.convert.sr import official_to_vkd
from vkd.evaluation.restoration import RestorationMetric, luma, psnr, quantize, ssim
from vkd.models.restorers import IMDN
from vkd.physics.resize import imresize, mod_crop


def test_psnr_by_hand():
    a = torch.full((1, 20, 20), 100.0)
    assert psnr(a, a + 1).item() == pytest.approx(48.1308, abs=5e-5) and psnr(a, a).item() == 100
    assert psnr(a, a + 2).item() == pytest.approx(48.1308 - 6.0206, abs=1e-4)


def test_luma_by_hand():
    colours = torch.tensor([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=torch.uint8).T.reshape(3, 1, 5)
    np.testing.assert_allclose(luma(colours).flatten(), [235, 16, 81.481, 144.553, 40.966], atol=1e-10)
    skimage = pytest.importorskip('skimage.color')
    x = picture()
    np.testing.assert_allclose(luma(x)[0], skimage.rgb2ycbcr(x.permute(1, 2, 0).numpy())[..., 0], atol=1e-10)


def test_rounding_is_half_to_even():
    assert quantize(torch.tensor([0.5 / 255, 1.5 / 255, 2.5 / 255, -1, 2], dtype=torch.float64)).tolist() == [0, 2, 2, 0, 255]


def test_ssim_agrees_with_scikit_image():
    skimage = pytest.importorskip('skimage.metrics')
    a, b = picture().double(), quantize(near(picture()))
    full = skimage.structural_similarity(
        a.permute(1, 2, 0).numpy(),
        b.permute(1, 2, 0).double().numpy(),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=-1,
        full=True,
    )[1]
    assert ssim(a, b).item() == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-9)
    assert psnr(a, b).item() == pytest.approx(skimage.peak_signal_noise_ratio(a.numpy(), b.double().numpy(), data_range=255), abs=1e-9)
    assert ssim(a, a).item() == pytest.approx(1, abs=1e-12)
    assert ssim(a, a + torch.arange(52) % 2).item() < 1


def test_ssim_looks_at_whole_windows_only():
    a = picture(h=11, w=11).double()
    weights = np.exp(-((np.arange(11) - 5) ** 2) / 4.5)
    weights = torch.from_numpy(np.outer(weights, weights) / weights.sum() ** 2)
    b = a.flip(2)
    ma, mb = ((weights * x).sum((1, 2)) for x in (a, b))
    va, vb, cov = ((weights * x * y).sum((1, 2)) - m * n for x, y, m, n in ((a, a, ma, ma), (b, b, mb, mb), (a, b, ma, mb)))
    c1, c2 = 2.55**2, 7.65**2
    assert ssim(a, b).item() == pytest.approx(
        ((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean().item(), abs=1e-12
    )


def test_what_the_options_do():
    truth, output = picture(), near(picture())
    y = RestorationMetric(crop_border=3).scores(output, truth)
    a, b = luma(quantize(output)), luma(truth)
    assert torch.equal(y, torch.stack([psnr(a[:, 3:-3, 3:-3], b[:, 3:-3, 3:-3]), ssim(a[:, 3:-3, 3:-3], b[:, 3:-3, 3:-3])]))
    rounded = RestorationMetric(crop_border=3, y_mode='uint8').scores(output, truth)
    assert torch.equal(rounded[0], psnr(a.round()[:, 3:-3, 3:-3], b.round()[:, 3:-3, 3:-3])) and rounded[0] != y[0]
    assert torch.equal(RestorationMetric(convert_to=None).scores(output, truth)[0], psnr(quantize(output), truth))
    assert torch.equal(RestorationMetric(convert_to=None, round_output=False).scores(output, truth)[0], psnr(output * 255, truth))


def test_rounding_y_costs_what_it_should():
    """Two roundings add 1/12 of a squared grey level each, seen where the error is small."""
    truth = picture(h=200, w=200)
    output = near(truth, strength=1.5)
    plain, rounded = (RestorationMetric(y_mode=mode, round_output=False).scores(output, truth)[0].item() for mode in ('float', 'uint8'))
    error = 255**2 / 10 ** (plain / 10)
    assert 255**2 / 10 ** (rounded / 10) - error == pytest.approx(2 / 12, rel=0.05)


def test_several_sets():
    metric, given = RestorationMetric(crop_border=2), samples(NAMES)
    for s in given:
        metric.process(None, [s])
    scores = metric.evaluate(5)
    each = [metric.scores(s['pred_img'], s['gt_img']).tolist() for s in given]
    assert list(metric.report['sets']) == ['Set5', 'Set14'] and metric.report['sets']['Set14']['per_image'] == dict(
        zip('abc', each[2:], strict=False)
    )
    assert scores['Set5/PSNR'] == scores['PSNR'] == round((each[0][0] + each[1][0]) / 2, 4) and scores['Set14/SSIM'] == round(
        sum(e[1] for e in each[2:]) / 3, 4
    )
    assert metric.report['images'] == 5 and metric.report['sets']['Set14']['images'] == 3
    other = RestorationMetric(crop_border=2, main='Set14', prefix='x2')
    for s in given:
        other.process(
            None, [BaseDataElement(metainfo=dict(name=s['name'], set=s['set']), pred_img=s['pred_img'], gt_img=s['gt_img']).to_dict()]
        )
    assert other.evaluate(5)['x2/PSNR'] == scores['Set14/PSNR']


def test_one_process_counts():
    """Two processes: in test_restoration_kd, where two are started anyway."""
    assert evaluated(1)[1]['images'] == 5 and 'saw 5 images of a set of 6' in evaluated(1, 6)[0]


@pytest.mark.parametrize(
    'options, output, truth, text',
    [
        (
            dict(),
            torch.rand(1, 40, 40),
            picture(h=40, w=40)[:1],
            r'a.png: Y is worked out from RGB, but the image has 1 channel; set convert_to=None',
        ),
        (dict(), torch.rand(3, 40, 44), picture(h=40, w=40), 'a.png: prediction 3x40x44 and truth 3x40x40'),
        (dict(crop_border=15), torch.rand(3, 40, 44), picture(h=40, w=44), 'a.png: 40x44 pixels less a border of 15'),
    ],
)
def test_bad_images(options, output, truth, text):
    with pytest.raises(UserError, match=text):
        RestorationMetric(**options).process(None, [dict(name='a.png', pred_img=output, gt_img=truth)])


@pytest.mark.parametrize('options', [dict(convert_to='HSV'), dict(y_mode='int')])
def test_bad_options(options):
    with pytest.raises(UserError, match='is unknown; nearest: '):
        RestorationMetric(**options)


def test_equal_images_have_a_finite_score():
    metric, truth = RestorationMetric(), picture()
    for name, output in (('same', truth / 255), ('other', near(truth))):
        metric.process(None, [dict(name=name, set='Set5', pred_img=output, gt_img=truth)])
    found = metric.evaluate(2)
    assert metric.report['sets']['Set5']['per_image']['same'] == [100, pytest.approx(1)] and 20 < found['PSNR'] < 100
    json.dumps(metric.report, allow_nan=False)


def test_what_cannot_be_averaged():
    metric = RestorationMetric()
    metric.process(None, [dict(name='a.png', set='Set5', pred_img=torch.full((3, 40, 40), float('nan')), gt_img=picture(h=40, w=40))])
    with pytest.raises(UserError, match='Set5/a.png: the prediction or the truth holds values that are not finite'):
        metric.evaluate(1)
    metric.process(None, samples(NAMES[:1]))
    metric.main = 'Urban100'
    with pytest.raises(UserError, match="main is 'Urban100', but the sets are Set5"):
        metric.evaluate(1)
    with pytest.raises(UserError, match='b.png has no gt_img'):
        metric.process(None, [dict(name='b.png', pred_img=picture())])


@pytest.mark.parametrize('scale, wanted', [(2, 33.68), (3, 30.40), (4, 28.43)])
def test_bicubic_interpolation_on_set5(sr_data, scale, wanted):
    metric = RestorationMetric(crop_border=scale)
    for file in sorted((sr_data / 'test/Set5/HR').glob('*.png')):
        hr = mod_crop(np.array(Image.open(file).convert('RGB')), scale)
        up = imresize(imresize(hr, 1 / scale), scale)
        hr, up = (torch.from_numpy(x).permute(2, 0, 1) for x in (hr, up))
        metric.process(None, [dict(name=file.stem, set='Set5', pred_img=up / 255, gt_img=hr)])
    assert metric.evaluate(5)['Set5/PSNR'] == pytest.approx(wanted, abs=0.01)  # how it was upsampled there is not said


@pytest.mark.parametrize('scale, wanted', [(2, [37.996, 0.9605]), (3, [34.360, 0.9270]), (4, [32.210, 0.8948])])
def test_official_weights_give_the_published_scores_on_set5(sr_data, scale, wanted):
    """Where VKD_DATA_ROOT has sr/weights/IMDN_x{2,3,4}.pth, the files of IMDN's authors."""
    file = sr_data / f'weights/IMDN_x{scale}.pth'
    if not file.is_file():
        pytest.skip(f'official weights: put them at {file}')
    network, metric = IMDN(scale).eval(), RestorationMetric(crop_border=scale)
    network.load_state_dict(official_to_vkd(load_weights(file)))
    for path in sorted((sr_data / 'test/Set5/HR').glob('*.png')):
        hr = mod_crop(np.array(Image.open(path).convert('RGB')), scale)
        with torch.no_grad():
            output = network(torch.from_numpy(imresize(hr, 1 / scale)).permute(2, 0, 1)[None] / 255)[0]
        metric.process(None, [dict(name=path.stem, set='Set5', pred_img=output, gt_img=torch.from_numpy(hr).permute(2, 0, 1))])
    found = metric.evaluate(5)
    assert found['PSNR'] == pytest.approx(wanted[0], abs=0.003) and found['SSIM'] == pytest.approx(wanted[1], abs=1e-4)
