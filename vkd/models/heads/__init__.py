from .clip_semantic import ClipSemanticHead
from .linear_segformer import LinearSegformerHead

__all__ = ['ClipSemanticHead', 'LinearSegformerHead']
