from .linear_segformer import LinearSegformerHead

__all__ = ['LinearSegformerHead']
