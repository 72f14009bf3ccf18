# t91-bsds-x4.py at its own size: images are blurred, noisy and compressed, anew each time for training, each in its own fixed way for the scores, which are of RGB without a border
_base_ = 't91-bsds-x4.py'
data_name = 't91-bsds-degraded'
symmetries = [dict(type='vkd.Flip', direction='horizontal'), dict(type='vkd.Flip', direction='vertical'), dict(type='vkd.RandomTransposeHW')]
train_dataloader = dict(num_workers=2, persistent_workers=True, dataset=dict(scale=1, pipeline=[
    dict(type='vkd.LoadImageFromFile', key='gt', cache='work_dirs/cache'), dict(type='vkd.RandomDegradation'), dict(type='vkd.PairedRandomCrop', gt_patch_size=96), *symmetries, dict(type='vkd.PackInputs')]))
val_dataloader = test_dataloader = dict(dataset=dict(scale=1, pipeline=[dict(type='vkd.LoadImageFromFile', key='gt'), dict(type='vkd.RandomDegradation', seed=0), dict(type='vkd.PackInputs')]))
val_evaluator = test_evaluator = dict(crop_border=0, convert_to=None)
