"""A small scanner, a student and its teacher for sparse-view CT, and their slices and configs."""

import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement

from helpers import ROOT

SCANNER = dict(
    type='vkd.SparseViewCTPreprocessor', geometry=dict(size=32, views=48, bins=48, source=134.4, pixel_cm=1.28), views=8, teacher_views=16
)


def restorer(width=4, blocks=(1, 1), cap=None, **more):
    """GloReDi's network, ``width`` wide."""
    return dict(
        type='vkd.Restorer',
        backbone=dict(type='GloReNet', width=width, blocks=blocks, **more),
        pixel_loss='smooth_l1',
        truth_peak=1,
        loss_cap=cap,
    )


def distiller(*methods, momentum=0.0, **more):
    """GloReDi's student and its teacher, whose decoder follows the student's by ``momentum``."""
    teacher = dict(
        model=restorer(**more),
        trainable=True,
        ema={'backbone.decoder': 'backbone.decoder'},
        ema_buffers=False,
        momentum=momentum,
        start='student',
        view='dense',
    )
    return dict(
        type='vkd.Distiller',
        student=restorer(**more),
        teacher=teacher,
        methods=list(methods) or [dict(type='GloReDi', memory_size=4)],
        probe_shape=(1, 32, 32),
        data_preprocessor=SCANNER,
    )


def slices(n=2, size=32, seed=0):
    """``n`` phantoms of ``size``, as attenuation."""
    from vkd.datasets.demo_phantoms import draw_phantom
    from vkd.physics.hounsfield import hu_to_mu

    return dict(
        inputs=[torch.from_numpy(hu_to_mu(draw_phantom((seed, i), size)))[None] for i in range(n)],
        data_samples=[BaseDataElement(metainfo=dict(name=str(i), patient=f'p{i}', set='phantoms')) for i in range(n)],
    )


def config(folder, model, iters=4, **more):
    """A config of ``iters`` iterations over drawn phantoms."""
    pipeline = [dict(type='vkd.DrawPhantom'), dict(type='vkd.PackCTInputs')]

    def loader(split, length, **sampler):
        return dict(
            batch_size=2,
            num_workers=0,
            sampler=sampler,
            dataset=dict(type='vkd.DemoPhantomDataset', split=split, length=length, size=32, pipeline=pipeline),
        )

    cfg = Config.fromfile(ROOT / 'configs/_base_/runtime.py')
    test = loader('test', 3, type='DefaultSampler', shuffle=False, round_up=False)
    adam = dict(optimizer=dict(type='Adam', lr=2e-3))
    cfg.merge_from_dict(
        dict(
            model=model,
            work_dir=str(folder),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=iters, val_interval=iters),
            train_dataloader=loader('train', 8, type='InfiniteSampler', shuffle=True),
            val_dataloader=test,
            test_dataloader=test,
            val_evaluator=dict(type='vkd.CTMetric'),
            test_evaluator=dict(type='vkd.CTMetric'),
            param_scheduler=[dict(type='ConstantLR', factor=1.0, by_epoch=False, end=iters)],
            optim_wrapper=dict(constructor='vkd.PerRole', student=adam, teacher=adam)
            if model.get('teacher')
            else dict(type='OptimWrapper', **adam),
        )
    )
    cfg.default_hooks.checkpoint.interval, cfg.log_level = 1, 'ERROR'
    cfg.merge_from_dict(more)
    return cfg
