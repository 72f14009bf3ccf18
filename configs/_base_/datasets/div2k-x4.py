# DIV2K's 800 training images with the bicubic versions that come with it; patches of 192x192 of the truth at every scale, 16 a batch, the eight symmetries of the square.
# Decoded images are kept as memory maps below work_dirs/cache (about 10 GB). Validation on Set5, as in IMDN's source: report the other sets.
data_name = 'div2k-x4'
symmetries = [dict(type='vkd.Flip', direction='horizontal'), dict(type='vkd.Flip', direction='vertical'), dict(type='vkd.RandomTransposeHW')]
train_pipeline = [dict(type='vkd.LoadImageFromFile', key='gt', cache='work_dirs/cache'), dict(type='vkd.LoadImageFromFile', key='img', cache='work_dirs/cache'), dict(type='vkd.ModCrop'),
                  dict(type='vkd.PairedRandomCrop', gt_patch_size=192), *symmetries, dict(type='vkd.PackInputs')]
test_pipeline = [dict(type='vkd.LoadImageFromFile', key='gt'), dict(type='vkd.ModCrop'), dict(type='vkd.MATLABLikeResize'), dict(type='vkd.PackInputs')]
train_dataloader = dict(
    batch_size=16, num_workers=4, persistent_workers=True, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='vkd.BasicImageDataset', data_root='data/DIV2K', data_prefix=dict(gt='DIV2K_train_HR', img='DIV2K_train_LR_bicubic/X{scale}'), filename_tmpl=dict(img='{}x{scale}'), scale=4, pipeline=train_pipeline))
val_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
                      dataset=dict(type='vkd.BasicImageDataset', data_root='data/sr', sets=dict(Set5='test/Set5'), scale=4, pipeline=test_pipeline))
test_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
                       dataset=dict(type='vkd.BasicImageDataset', data_root='data/sr', sets={k: f'test/{k}' for k in ('Set5', 'Set14', 'BSD100', 'Urban100', 'Manga109')}, scale=4, pipeline=test_pipeline))
val_evaluator = test_evaluator = dict(type='vkd.RestorationMetric', crop_border=4)
