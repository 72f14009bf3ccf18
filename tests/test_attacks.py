"""Attacks: by hand, within their bounds, on a real network through the evaluation, and in the table."""

import pytest
import torch
from helpers.configs import config
from helpers.networks import build, segmentor
from helpers.run_folders import write
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from vkd import UserError
from vkd.evaluation.scores import MIOU
from vkd.io.files import read_json, write_json
from vkd.leaderboard import build as build_tables
from vkd.leaderboard.reading import read_runs
from vkd.leaderboard.rows import table
from vkd.robustness.attack import AttackedTestLoop, evaluate_attacks, fgsm, pgd, pixel_loss
from vkd.robustness.variants import run_fingerprint


def test_fgsm_by_hand():
    x = torch.tensor([0.5, 0.5, 0.98, 0.0]).view(1, 1, 2, 2)
    w = torch.tensor([2.0, -3.0, 1.0, -1.0]).view(1, 1, 2, 2)
    # the last two end at the range
    assert fgsm(lambda v: (v * w).sum(), x, 0.1, 0, 1).flatten().tolist() == pytest.approx([0.6, 0.4, 1.0, 0.0])


def test_pgd_ends_in_the_corner_of_the_ball_and_no_farther():
    x, w = torch.full((1, 1, 2, 2), 0.5), torch.tensor([2.0, -3.0, 1.0, -1.0]).view(1, 1, 2, 2)
    found = pgd(lambda v: (v * w).sum(), x, 0.1, 0, 1, generator=torch.Generator().manual_seed(0))
    assert found.flatten().tolist() == pytest.approx([0.6, 0.4, 0.6, 0.4])  # of a linear loss it is the best
    one = pgd(lambda v: (v * w).sum(), x, 0.1, 0, 1, steps=1, rate=0.0, generator=torch.Generator().manual_seed(0))
    again = pgd(lambda v: (v * w).sum(), x, 0.1, 0, 1, steps=1, rate=0.0, generator=torch.Generator().manual_seed(0))
    assert torch.equal(one, again) and (one - x).abs().max() <= 0.1 and not torch.equal(one, x)  # the start alone
    per_channel = pgd(lambda v: v.sum(), torch.zeros(1, 2, 1, 1), torch.tensor([0.1, 0.2]).view(-1, 1, 1), -1, 1)
    assert per_channel.flatten().tolist() == pytest.approx([0.1, 0.2])


def test_pgd_finds_what_one_step_does_not():
    """A loss that rises, then falls: the sign at the start leads past the top."""

    def bump(v):
        return -((v - 0.53) ** 2).sum()

    x = torch.full((1, 1, 1, 1), 0.5)
    assert bump(pgd(bump, x, 0.1, 0, 1, steps=40)) > bump(fgsm(bump, x, 0.1, 0, 1))


def test_ignored_pixels_give_no_slope():
    network = build(segmentor(8)).eval()
    label = torch.full((1, 32, 32), 255, dtype=torch.long)
    label[:, :, :4] = 1
    sample = SegDataSample(gt_sem_seg=PixelData(data=label))
    image = torch.randn(1, 3, 32, 32)
    first = pixel_loss(network, [sample])(image)
    label[:, 0, 20] = 3
    assert first != pixel_loss(network, [SegDataSample(gt_sem_seg=PixelData(data=label))])(image)
    for samples, text in (
        ([SegDataSample()], 'has none'),
        ([sample, SegDataSample(gt_sem_seg=PixelData(data=label[:, :16]))], 'differ in size'),
    ):
        with pytest.raises(UserError, match=text):
            pixel_loss(network, samples)


@pytest.mark.parametrize('attack', ['fgsm', 'pgd'])
def test_the_image_stays_within_its_bounds_and_the_network_as_it_was(attack):
    network = build(segmentor(8)).eval()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    loop = AttackedTestLoop.__new__(AttackedTestLoop)
    loop.attack, loop.eps, loop.steps, loop.seed = attack, 4.0, 3, 0
    pixels = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    data = network.data_preprocessor(
        dict(inputs=[pixels], data_samples=[SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 9, (1, 32, 32))))]), False
    )
    clean, found = data['inputs'], loop.attacked(network, data['inputs'], data['data_samples'], network.data_preprocessor)
    raw = found * 64 + 127.5
    assert (
        (found - clean).abs().max() * 64 <= 4 + 1e-3
        and (found - clean).abs().mean() * 64 > 2
        and raw.min() >= -1e-3
        and raw.max() <= 255 + 1e-3
    )
    loss = pixel_loss(network, data['data_samples'])
    assert loss(found) > loss(clean)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items()) and all(
        p.requires_grad and p.grad is None for p in network.parameters()
    )


def test_an_evaluation_and_its_columns(tmp_path):
    cfg = config(dict(type='vkd.Distiller', student=segmentor(8), methods=[]), tmp_path / 'c')
    torch.save(dict(state_dict=build(segmentor(8)).state_dict()), tmp_path / 'x.pth')
    found = evaluate_attacks(cfg, tmp_path / 'x.pth', tmp_path / 'out', strengths=(1, 0.5), steps=2)
    assert (
        list(found['cells']) == ['clean', 'fgsm-1', 'fgsm-0.5', 'pgd2-1', 'pgd2-0.5']
        and found['cells']['pgd2-1'] != found['cells']['clean']
    )
    assert (
        found['cells']['clean']['images'] == found['cells']['fgsm-1']['images'] == 3
        and '| fgsm | ' in (tmp_path / 'out/attacks.md').read_text()
    )
    assert (
        evaluate_attacks(cfg, tmp_path / 'x.pth', tmp_path / 'again', ['pgd'], (1,), steps=2)['cells']['pgd2-1'] == found['cells']['pgd2-1']
    )
    for more, text in (
        (dict(names=['pdg']), "nearest: 'pgd'"),
        (dict(strengths=()), 'no strength'),
        (dict(strengths=(0,)), 'eps 0'),
        (dict(steps=0), '0 steps'),
    ):
        with pytest.raises(UserError, match=text):
            evaluate_attacks(cfg, tmp_path / 'x.pth', tmp_path / 'out', **more)
    run = write(tmp_path / 'runs', score=40.0, seed=0)
    write_json(run / 'attacks.json', dict(found, fingerprint=read_json(run / 'run.json')['fingerprint']))
    (row,) = table(read_runs(tmp_path / 'runs')[0], MIOU).rows
    assert (
        row.extra['mIoU under PGD-2, 1/255'] == found['cells']['pgd2-1']['mIoU']
        and row.extra['mIoU under FGSM, 0.5/255'] == found['cells']['fgsm-0.5']['mIoU']
    )
    build_tables(tmp_path / 'runs')
    assert 'mIoU under FGSM, 1/255' in (tmp_path / 'runs/leaderboard.md').read_text()
    write_json(run / 'attacks.json', dict(found, fingerprint='0'))
    runs, notes = read_runs(tmp_path / 'runs')
    assert not runs[0].attacks and any('Attacks of' in n and 'another config' in n for n in notes)


def test_whose_results_they_are(tmp_path):
    """In the run's own folder they carry its fingerprint, in which teachers count by what they are."""
    cfg = config(dict(type='vkd.Distiller', student=segmentor(8), methods=[]), tmp_path / 'c')
    own = run_fingerprint(cfg, tmp_path / 'run/iter_1.pth', tmp_path / 'run')
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run/config.py').write_text(cfg.pretty_text)
    write_json(tmp_path / 'run/run.json', dict(fingerprint='of its suite'))
    assert run_fingerprint(cfg, tmp_path / 'run/iter_1.pth', tmp_path / 'run') == 'of its suite'
    assert run_fingerprint(cfg, tmp_path / 'other/iter_1.pth', tmp_path / 'run') == own
    cfg.train_dataloader.batch_size = 7
    assert run_fingerprint(cfg, tmp_path / 'run/iter_1.pth', tmp_path / 'run') not in (own, 'of its suite')
