"""What mmengine lacks: hooks, loops, optimizer wrappers, the way from a config to a Runner."""

from .alternate import AlternateTrainLoop, alternate_step
from .amp import CPUAmpOptimWrapper
from .cache import FeatureCache
from .hooks import ChannelsLast, PlainState, RandomState, StopOnNonFinite
from .launch import build_runner, init_distributed, last_checkpoint, processes, rank, use_amp
from .peers import PeerOptimWrapper, PerRole
from .storage import WholeFileBackend
from .trained import TrainedOnly

__all__ = [
    'AlternateTrainLoop',
    'CPUAmpOptimWrapper',
    'ChannelsLast',
    'FeatureCache',
    'PeerOptimWrapper',
    'PerRole',
    'PlainState',
    'RandomState',
    'StopOnNonFinite',
    'TrainedOnly',
    'WholeFileBackend',
    'alternate_step',
    'build_runner',
    'init_distributed',
    'last_checkpoint',
    'processes',
    'rank',
    'use_amp',
]
