# RealSR as IMDN_AS takes it: pairs of one size from two focal lengths, 60 to train on, batch 6; flips and patches of 192x192 are our decision. Scores are of RGB, without a border.
# Our layout: data/RealSR/{train,val}/{HR,LR}, a pair under one name.
data_name = 'realsr'
prefix = dict(gt='HR', img='LR')
symmetries = [dict(type='vkd.Flip', direction='horizontal'), dict(type='vkd.Flip', direction='vertical'), dict(type='vkd.RandomTransposeHW')]
load = [dict(type='vkd.LoadImageFromFile', key='gt', cache='work_dirs/cache'), dict(type='vkd.LoadImageFromFile', key='img', cache='work_dirs/cache')]
train_dataloader = dict(
    batch_size=6, num_workers=4, persistent_workers=True, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='vkd.BasicImageDataset', data_root='data/RealSR/train', data_prefix=prefix, scale=1, pipeline=[*load, dict(type='vkd.PairedRandomCrop', gt_patch_size=192), *symmetries, dict(type='vkd.PackInputs')]))
val_dataloader = test_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
                                        dataset=dict(type='vkd.BasicImageDataset', data_root='data/RealSR/val', name='RealSR', data_prefix=prefix, scale=1, pipeline=[*load, dict(type='vkd.PackInputs')]))
val_evaluator = test_evaluator = dict(type='vkd.RestorationMetric', crop_border=0, convert_to=None)
