"""What networks and training steps cost, in operations, time and memory."""

from .memory import peak_memory, resident_peak
from .networks import latency_ms, multiply_adds_720p, params_flops
from .steps import clock, interleaved, step_parts
from .suite import suite_profile

__all__ = [
    'clock',
    'interleaved',
    'latency_ms',
    'multiply_adds_720p',
    'params_flops',
    'peak_memory',
    'resident_peak',
    'step_parts',
    'suite_profile',
]
