"""Configs of short runs over drawn scenes."""

from pathlib import Path

from mmengine.config import Config

from helpers import ROOT


def config(model, folder, iters=6, interval=3, **more):
    """A config over drawn scenes of 32x48, validated in the middle and tested at the end."""

    def loader(split, length, size, **sampler):
        steps = [dict(type='vkd.DrawScene'), *([dict(type='RandomFlip', prob=0.5)] if split == 'train' else []), dict(type='PackSegInputs')]
        return dict(
            batch_size=size,
            num_workers=0,
            sampler=sampler,
            dataset=dict(type='vkd.DemoDataset', split=split, length=length, size=(32, 48), pipeline=steps),
        )

    cfg = Config.fromfile(ROOT / 'configs/_base_/runtime.py')
    cfg.merge_from_dict(
        dict(
            model=model,
            work_dir=str(folder),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=iters, val_interval=interval),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)),
            param_scheduler=[dict(type='OneCycleLR', eta_max=1e-3, total_steps=iters, by_epoch=False)],
            train_dataloader=loader('train', 8, 2, type='InfiniteSampler', shuffle=True),
            val_dataloader=loader('val', 3, 2, type='DefaultSampler', shuffle=False, round_up=False),
            test_dataloader=loader('test', 3, 2, type='DefaultSampler', shuffle=False, round_up=False),
            val_evaluator=dict(type='vkd.SegMetric'),
            test_evaluator=dict(type='vkd.SegMetric'),
        )
    )
    cfg.default_hooks.checkpoint.interval = interval
    cfg.default_hooks.logger.interval = 1
    cfg.log_level = 'ERROR'
    cfg.merge_from_dict(more)
    path = Path(folder).parent / f'{Path(folder).name}.py'
    path.parent.mkdir(parents=True, exist_ok=True)
    cfg.dump(path)
    return Config.fromfile(path)
