"""Bringing a student's and a teacher's features onto one grid and one number of channels; tokens and maps."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import UserError


def token_grid(count: int, image_size: tuple[int, int]) -> tuple[int, int]:
    """``(h, w)`` of ``count`` tokens of an image ``(H, W)``: the grid of that area whose shape is the image's. Raises UserError where there
    is none.

    >>> token_grid(8, (64, 128))
    (2, 4)
    """
    height = max(1, round((count * image_size[0] / image_size[1]) ** 0.5))
    for h in (height, height + 1, height - 1):
        if h > 0 and count % h == 0:
            return h, count // h
    raise UserError(
        f'{count} tokens fill no grid of the shape of an image of {image_size[0]}x{image_size[1]}; tap a map, or tokens without a class '
        'token.'
    )


def tokens_to_map(x: torch.Tensor, size: tuple[int, int] | None = None) -> torch.Tensor:
    """``[B, N, C]`` tokens -> ``[B, C, H, W]``; the grid is square unless ``size=(H, W)`` is given. Raises UserError where they do not fill
    it.
    """
    if size is None:
        side = round(x.shape[1] ** 0.5)
        size = (side, side)
    if size[0] * size[1] != x.shape[1]:
        raise UserError(f'{x.shape[1]} tokens do not fill a grid of {size[0]} x {size[1]}; give size=(H, W) of the token grid.')
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], *size)


def map_to_tokens(x: torch.Tensor) -> torch.Tensor:
    """``[B, C, H, W]`` -> ``[B, H*W, C]``."""
    return x.flatten(2).transpose(1, 2)


def replace_masked(embedding: torch.Tensor, mask: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """Patch embeddings ``[B, N, C]`` or ``[B, h, w, C]`` whose places in ``mask [B, N]`` (True) are ``token [C]``, as in iBOT and DINOv2."""
    mask = mask.view(*embedding.shape[:-1], 1)
    return torch.where(mask, token.to(embedding.dtype), embedding)


def align_size(student: torch.Tensor, teacher: torch.Tensor, to: str = 'student') -> tuple[torch.Tensor, torch.Tensor]:
    """Resizes one of two maps ``[B, *, H, W]`` bilinearly so that their grids agree. ``to``: whose grid is kept."""
    if student.shape[-2:] == teacher.shape[-2:]:
        return student, teacher
    if to == 'student':
        return student, F.interpolate(teacher, size=student.shape[-2:], mode='bilinear', align_corners=False)
    return F.interpolate(student, size=teacher.shape[-2:], mode='bilinear', align_corners=False), teacher


def channels_of(shape: Sequence[int]) -> int:
    """How many channels a map ``[B, C, H, W]``, or tokens ``[B, N, C]``, of this shape have."""
    return shape[1] if len(shape) == 4 else shape[-1]


def channel_adapter(student_channels: int, teacher_channels: int, always: bool = False) -> nn.Module:
    """A 1x1 convolution from student to teacher channels, or an identity where they agree (unless ``always``)."""
    if student_channels == teacher_channels and not always:
        return nn.Identity()
    return nn.Conv2d(student_channels, teacher_channels, 1)
