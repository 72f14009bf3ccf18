"""What a forward pass needs, counted beforehand, and what there is."""

import pytest
from torch import nn

from vkd.build import memory
from vkd.models.restorers import IMDN_RTC


def test_a_forward_pass_by_hand():
    """The input, what a layer gives, and what the next makes of it: 3, 8 and 4 channels of float32 at once."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1))
    assert memory.forward_bytes(network, (1, 3, 10, 20)) == 4 * (3 + 8 + 4) * 200
    assert memory.forward_bytes(network, (2, 3, 10, 20)) == 8 * (3 + 8 + 4) * 200
    chain = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(9)))  # no more than three maps: the input's and two
    assert memory.forward_bytes(chain, (1, 3, 10, 20)) == 4 * 9 * 200
    assert all(p.device.type == 'cpu' for p in chain.parameters())


def test_it_grows_with_the_area_and_not_with_the_depth():
    two, five = (memory.forward_bytes(IMDN_RTC(2, blocks=b), (1, 3, 64, 64)) for b in (2, 5))
    assert two == five == pytest.approx(memory.forward_bytes(IMDN_RTC(2), (1, 3, 128, 128)) / 4, rel=1e-3)


def test_what_is_free(tmp_path):
    assert 2**20 < memory.free_bytes('cpu') < 2**50
    assert memory._container_bytes(tmp_path) == []
    (tmp_path / 'memory.current').write_text('700\n')
    for limit, free in (('max', []), ('1000', [300]), ('500', [0])):
        (tmp_path / 'memory.max').write_text(f'{limit}\n')
        assert memory._container_bytes(tmp_path) == free
