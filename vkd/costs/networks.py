"""What a network costs: parameters, floating-point operations, latency."""

import copy
from contextlib import contextmanager

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..build.networks import forward_features
from .steps import interleaved


@contextmanager
def inference(model):
    """``model`` in eval mode without gradients; each module is given back its own mode."""
    modes = {m: m.training for m in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield next((p.device for p in model.parameters()), torch.device('cpu'))
    finally:
        for module, mode in modes.items():
            module.training = mode


def params_flops(model, shape):
    """``(parameters, FLOPs)`` of one forward pass to the logits on an image of ``shape = (C, H, W)``.

    A multiply-add counts as two operations. Matrix products, convolutions and attention count; norms, activations and resizes do not
    (torch.utils.flop_counter). Fused attention kernels that hide their products from the counter are switched off meanwhile.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    counter = FlopCounterMode(display=False)
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with inference(model) as device, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), counter:
            forward_features(model, torch.zeros(1, *shape, device=device))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return sum(p.numel() for p in model.parameters()), int(counter.get_total_flops())


def multiply_adds_720p(restorer):
    """Multiply-adds of a Restorer's convolutions and matrix products for an RGB output of 1280x720, the custom of super-resolution: from an
    image of 1280 // s x 720 // s. Nothing is computed.
    """
    network = copy.deepcopy(restorer).to('meta')
    return params_flops(network, (3, 720 // restorer.scale, 1280 // restorer.scale))[1] // 2


def latency_ms(model, shape, rounds=15, warmup=3):
    """Median milliseconds of a forward pass on one image of ``shape = (C, H, W)``, in eval mode, on the model's device."""
    with inference(model) as device:
        image = torch.zeros(1, *shape, device=device)
        times = interleaved(dict(model=lambda: forward_features(model, image)), rounds, warmup, device)
    return 1000 * times['model']['seconds']
