"""A training step of every method on a GPU gives the losses of a CPU."""

import pytest
import torch
from helpers.batches import batch, losses
from helpers.cases import METHOD_CASES, method
from helpers.networks import build, distiller, peers

from vkd import METHODS

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize('name', [case for case in METHOD_CASES if case.partition(':')[0] != 'ChimeraSeg'])  # this one needs a CLIP head
def test_losses_and_gradients(name):
    found, between = {}, peers if METHODS.get(name.partition(':')[0]).mutual else distiller
    for device in ('cpu', 'cuda'):
        model = build(between(method(name))).to(device)
        torch.manual_seed(0)
        own = losses(model, batch())
        model.parse_losses(own)[0].backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        found[device] = {k: v.item() for k, v in own.items() if 'decode' in k and 'loss' in k}  # masks of methods are drawn on the device
    assert found['cuda'] == pytest.approx(found['cpu'], rel=1e-3) and found['cpu']
