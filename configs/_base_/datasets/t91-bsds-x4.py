# T91 and the 400 images of BSDS500 that are not in BSD100; their bicubic versions are made as MATLAB makes them and kept below work_dirs/cache. Patches of 96x96 of the truth, 8 a batch; one image of T91 is smaller, and left out.
# Validation on Set5, which is for choosing; tables report Set14 and BSD100 too.
data_name = 't91-bsds-x4'
symmetries = [dict(type='vkd.Flip', direction='horizontal'), dict(type='vkd.Flip', direction='vertical'), dict(type='vkd.RandomTransposeHW')]
train_pipeline = [dict(type='vkd.LoadImageFromFile', key='gt', cache='work_dirs/cache'), dict(type='vkd.ModCrop'), dict(type='vkd.MATLABLikeResize', cache='work_dirs/cache'),
                  dict(type='vkd.PairedRandomCrop', gt_patch_size=96), *symmetries, dict(type='vkd.PackInputs')]
test_pipeline = [dict(type='vkd.LoadImageFromFile', key='gt'), dict(type='vkd.ModCrop'), dict(type='vkd.MATLABLikeResize'), dict(type='vkd.PackInputs')]
train_dataloader = dict(batch_size=8, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
                        dataset=dict(type='vkd.BasicImageDataset', data_root='data/sr', data_prefix=dict(gt=''), sets=dict(T91='train/T91', BSDS='train/BSDS'), filter_cfg=dict(min_size=96), scale=4, pipeline=train_pipeline))
val_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
                      dataset=dict(type='vkd.BasicImageDataset', data_root='data/sr', sets=dict(Set5='test/Set5'), scale=4, pipeline=test_pipeline))
test_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
                       dataset=dict(type='vkd.BasicImageDataset', data_root='data/sr', sets=dict(Set5='test/Set5', Set14='test/Set14', BSD100='test/BSD100'), scale=4, pipeline=test_pipeline))
val_evaluator = test_evaluator = dict(type='vkd.RestorationMetric', crop_border=4)
