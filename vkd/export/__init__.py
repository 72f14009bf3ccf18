"""The student as files of its own: weights, a config for plain mmseg, and an ONNX graph."""

from .. import _mmseg  # noqa: F401  (before others import it, because it does so quietly)
from .config import plain_config
from .onnx import Logits, to_onnx
from .student import export

__all__ = ['Logits', 'export', 'plain_config', 'to_onnx']
