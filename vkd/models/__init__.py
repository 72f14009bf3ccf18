from . import backbones, clip_tower, heads, restorers, text_tower  # noqa: F401  (registers)
