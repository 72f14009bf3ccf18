import numpy as np
import pytest
import torch
from helpers.configs import config
from helpers.networks import build, distiller, peers
from mmengine.config import Config
from PIL import Image

from vkd import UserError
from vkd.visualize.text_and_masks import bsd_picture, who_teaches


def test_who_teaches_by_hand():
    """Left half: the first is right; right half: the second, but for one ignored column and one where both say the same."""
    right, wrong, same = [4.0, 0], [0.0, 4], [1.0, 1]
    first = torch.tensor([[right, right, wrong, same]]).permute(2, 0, 1)[None].repeat(1, 1, 2, 1)
    second = torch.tensor([[wrong, wrong, right, same]]).permute(2, 0, 1)[None].repeat(1, 1, 2, 1)
    label = torch.tensor([[[0, 255, 0, 0]]]).repeat(1, 2, 1)
    pixels, regions = who_teaches(dict(a=first, b=second), label, (1, 2))
    assert pixels.tolist() == [[0, -2, 1, -1]] * 2 and regions.tolist() == [[0, 0, 1, 1]] * 2


def test_a_picture_and_bad_input(tmp_path):
    cfg = config(peers(dict(type='CTCL', grid=(1, 1))), tmp_path / 'ctcl_small_big_quick_scenes')
    model = build(cfg.model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')

    def draw(images=(0, 2), cfg=cfg, **more):
        return bsd_picture(Config.fromfile(cfg.filename), tmp_path / 'a.pth', images, tmp_path / 'bsd.png', **more)

    assert draw() == dict(pair=['student', 'vit'], images=[0, 2])
    seen = np.asarray(Image.open(tmp_path / 'bsd.png'))
    colours = {tuple(c) for c in seen.reshape(-1, 3)}
    assert seen.shape[1] > 1400 and {(0, 114, 178), (213, 94, 0)} <= colours
    for more, told in ((dict(images=[3]), 'has 3'), (dict(pair=('student', 'cnn')), "'cnn'")):
        with pytest.raises(UserError, match=told):
            draw(**more)
    with pytest.raises(UserError, match='no CTCL'):
        draw(cfg=config(distiller(dict(type='KL')), tmp_path / 'kl_small_big_quick_scenes'))
