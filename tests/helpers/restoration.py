"""Small restorers under the Distiller with every method for restoration, and their configs."""

from mmengine.config import Config

from helpers import ROOT
from helpers.networks import restorer

LAST = dict(student='backbone.body.1', teacher='backbone.body.1')
METHODS = {
    'OutputKD': dict(type='OutputKD'),
    'OutputKD mse': dict(type='OutputKD', loss='mse'),
    'FAKD': dict(type='FAKD', student=['backbone.body.0', 'backbone.body.1'], teacher=['backbone.body.0', 'backbone.body.1']),
    'FAKD pooled': dict(type='FAKD', pool=2, **LAST),
    'WaveletKD': dict(type='WaveletKD'),
    'FeatureKD mse': dict(type='FeatureKD', **LAST),
    'FeatureKD cos': dict(type='FeatureKD', loss='cos', **LAST),
    'FitNet': dict(type='FitNet', **LAST),
    'AT': dict(type='AT', **LAST),
    'MGD': dict(type='MGD', **LAST),
    'CWD': dict(type='CWD', student='backbone.body.1', teacher='backbone.fuse'),
}
#: CWD compares channels of equal number, here of networks of equal width
TEACHERS = {'CWD': restorer('IMDN', blocks=3)}


def distiller(name=None, student=None, teacher=None, **more):
    """A student and a teacher with the method of ``METHODS`` that is called ``name``; without a name the student alone."""
    teacher = {} if name is None else dict(teacher=teacher or TEACHERS.get(name, restorer('EDSR')))
    return dict(type='vkd.Distiller', student=student or restorer(), methods=[METHODS[name]] if name else [], **teacher, **more)


def config(model, folder, iters=4):
    """A config of ``iters`` iterations over drawn pictures, twice validated and once tested; it is written beside ``folder``."""

    def loader(split, length, size, **sampler):
        steps = [
            'DrawPicture',
            'MATLABLikeResize',
            *([dict(type='PairedRandomCrop', gt_patch_size=32), 'Flip', 'RandomTransposeHW'] if split == 'train' else []),
            'PackInputs',
        ]
        steps = [dict(s, type=f'vkd.{s["type"]}') if isinstance(s, dict) else dict(type=f'vkd.{s}') for s in steps]
        return dict(
            batch_size=size,
            num_workers=0,
            sampler=sampler,
            dataset=dict(type='vkd.DemoPictureDataset', split=split, length=length, size=(40, 48), scale=2, pipeline=steps),
        )

    cfg = Config.fromfile(ROOT / 'configs/_base_/runtime.py')
    test = dict(type='DefaultSampler', shuffle=False, round_up=False)
    cfg.merge_from_dict(
        dict(
            model=model,
            work_dir=str(folder),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=iters, val_interval=iters // 2),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3)),
            param_scheduler=[dict(type='MultiStepLR', milestones=[3], gamma=0.5, by_epoch=False)],
            train_dataloader=loader('train', 8, 2, type='InfiniteSampler', shuffle=True),
            val_dataloader=loader('val', 3, 1, **test),
            test_dataloader=loader('test', 3, 1, **test),
            val_evaluator=dict(type='vkd.RestorationMetric', crop_border=2),
            test_evaluator=dict(type='vkd.RestorationMetric', crop_border=2),
        )
    )
    cfg.default_hooks.checkpoint.interval, cfg.default_hooks.logger.interval, cfg.log_level = iters // 2, 1, 'ERROR'
    folder.parent.mkdir(parents=True, exist_ok=True)
    cfg.dump(path := folder.parent / f'{folder.name}.py')
    return Config.fromfile(path)
