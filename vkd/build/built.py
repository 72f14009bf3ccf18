"""What a config describes, built: its model, loaders and optimizer, and batches for them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn
from torch.utils.data import DataLoader

from ..errors import UserError
from .networks import build_model, student_of


def scope(cfg: Config) -> AbstractContextManager[None]:
    """The context in which the types of ``cfg`` are looked up."""
    context: AbstractContextManager[None] = DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmseg')
    return context


@contextmanager
def quiet() -> Iterator[None]:
    """mmengine's log shows errors only."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('ERROR')
    try:
        yield
    finally:
        logger.setLevel(level)


def build(cfg: Config, device: torch.device | str = 'cpu') -> BaseModel:
    """The initialised model of a Config in training mode."""
    with scope(cfg), quiet():  # mmengine would print how each tensor was initialised
        model: BaseModel = build_model(cfg.model)
        model.init_weights()
    return model.to(device).train()


def with_model(cfg: Config, model: Any) -> Config:
    """A copy of ``cfg`` with ``model`` as its model."""
    out = cfg.copy()
    out.model = model
    return out


def build_loader(cfg: Config, key: str = 'train_dataloader', seed: int = 0) -> DataLoader[Any]:
    """The loader ``cfg[key]`` without worker processes, so that its errors are its own."""
    loader = {k: v for k, v in cfg[key].items() if k not in ('prefetch_factor', 'persistent_workers')}
    with scope(cfg):
        built: DataLoader[Any] = Runner.build_dataloader({**loader, 'num_workers': 0}, seed=seed)
    return built


def optim(cfg: Config, model: nn.Module) -> OptimWrapper:
    """The optimizer wrapper of ``cfg`` on ``model``."""
    with scope(cfg):
        return build_optim_wrapper(model, cfg.optim_wrapper)


def input_size(cfg: Config) -> tuple[int, int]:
    """``(H, W)`` of a training image after the pipeline: the preprocessor's size, or that of the last crop or resize. Raises UserError."""
    size = (cfg.model.get('data_preprocessor') or {}).get('size')
    if size:
        return tuple(size)
    for step in reversed(cfg.train_dataloader.dataset.get('pipeline') or []):
        if step.get('crop_size'):
            size = step['crop_size']
            return tuple(size) if isinstance(size, (tuple, list)) else (size, size)
        if step.get('gt_patch_size'):  # of restoration: the truth's, and the image is smaller by the scale
            return (step['gt_patch_size'] // cfg.train_dataloader.dataset.get('scale', 1),) * 2
        if isinstance(step.get('scale'), (tuple, list)):
            return tuple(step['scale'][::-1])  # mmcv's scale is (width, height)
    raise UserError('The config names no input size; give crop_size or scale in the training pipeline, or size in data_preprocessor.')


def label_ids(network: nn.Module) -> torch.Tensor | None:
    """Ids that a label of ``network``'s training may have, ``[n]``: all of its classes, or the seen ones; None where its head has no
    classes.
    """
    head = getattr(network, 'decode_head', None)
    count, seen = getattr(head, 'num_classes', None), getattr(head, 'seen', None)
    return None if count is None else seen.cpu() if isinstance(seen, torch.Tensor) else torch.arange(count)


def synthetic_batch(shape: tuple[int, int, int, int], classes: int | torch.Tensor, seed: int = 0) -> dict[str, Any]:
    """What a loader would give for ``shape = (B, C, H, W)``: uint8 noise images and label maps of 0 .. classes - 1, or of the ids in
    ``classes [n]``.
    """
    ids = torch.arange(classes) if isinstance(classes, int) else classes
    random, (b, c, h, w) = torch.Generator().manual_seed(seed), shape
    samples = [
        SegDataSample(
            metainfo=dict(ori_shape=(h, w), img_shape=(h, w), pad_shape=(h, w)),
            gt_sem_seg=PixelData(data=ids[torch.randint(len(ids), (1, h, w), generator=random)]),
        )
        for _ in range(b)
    ]
    return dict(inputs=[torch.randint(256, (c, h, w), generator=random, dtype=torch.uint8) for _ in range(b)], data_samples=samples)


def first_batch(cfg: Config, model: nn.Module) -> tuple[dict[str, Any], str]:
    """``(batch, 'real' or 'synthetic')``: the training set's first batch; noise of the config's own size where there are no data."""
    try:
        return next(iter(build_loader(cfg))), 'real'
    except (UserError, OSError, StopIteration):
        classes = label_ids(student_of(model))
        if classes is None:
            raise
        return synthetic_batch((cfg.train_dataloader.batch_size, 3, *input_size(cfg)), classes), 'synthetic'
