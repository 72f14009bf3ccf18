from .lvt import LiteVisionTransformer
from .timm_vit import TimmViT

__all__ = ['LiteVisionTransformer', 'TimmViT']
