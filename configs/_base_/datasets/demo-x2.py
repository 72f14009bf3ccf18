# pictures drawn in code, 96x96: 400 to train on, 20 to choose by, 50 to test on; patches of 64x64 of the truth
data_name = 'demo-x2'
train_pipeline = [dict(type='vkd.DrawPicture'), dict(type='vkd.MATLABLikeResize'), dict(type='vkd.PairedRandomCrop', gt_patch_size=64), dict(type='vkd.Flip', direction='horizontal'),
                  dict(type='vkd.Flip', direction='vertical'), dict(type='vkd.RandomTransposeHW'), dict(type='vkd.PackInputs')]
test_pipeline = [dict(type='vkd.DrawPicture'), dict(type='vkd.MATLABLikeResize'), dict(type='vkd.PackInputs')]
train_dataloader = dict(batch_size=8, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True), dataset=dict(type='vkd.DemoPictureDataset', split='train', length=400, scale=2, pipeline=train_pipeline))
val_dataloader = dict(batch_size=5, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(type='vkd.DemoPictureDataset', split='val', length=20, scale=2, pipeline=test_pipeline))
test_dataloader = dict(batch_size=5, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(type='vkd.DemoPictureDataset', split='test', length=50, scale=2, pipeline=test_pipeline))
val_evaluator = test_evaluator = dict(type='vkd.RestorationMetric', crop_border=2)
