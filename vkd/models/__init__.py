from . import backbones, clip_tower, heads, text_tower  # noqa: F401  (registers)
