from .lvt import LiteVisionTransformer

__all__ = ['LiteVisionTransformer']
