"""Heads of segmentation networks."""

from ...registry import import_all
from .clip_semantic import ClipSemanticHead
from .linear_segformer import LinearSegformerHead

__all__ = ['ClipSemanticHead', 'LinearSegformerHead']

import_all(__name__, __path__)
