# whole images at 240x320 (height x width); labels are compared at their own size, 360x480
data_name = 'camvid-240x320'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='Resize', scale=(320, 240)),
                  dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
test_pipeline = [dict(type='vkd.LoadImage'), dict(type='Resize', scale=(320, 240)), dict(type='vkd.LoadLabel'), dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=8, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
                        dataset=dict(type='vkd.CamVidDataset', split='train', pipeline=train_pipeline))
val_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
                      dataset=dict(type='vkd.CamVidDataset', split='val', pipeline=test_pipeline))
test_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
                       dataset=dict(type='vkd.CamVidDataset', split='test', pipeline=test_pipeline))
val_evaluator = test_evaluator = dict(type='vkd.SegMetric')
