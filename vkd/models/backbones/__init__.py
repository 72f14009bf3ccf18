"""Backbones."""

from ...registry import import_all
from .lvt import LiteVisionTransformer
from .timm_vit import TimmViT

__all__ = ['LiteVisionTransformer', 'TimmViT']

import_all(__name__, __path__)
