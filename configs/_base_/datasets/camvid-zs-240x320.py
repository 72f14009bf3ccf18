# zero-shot 8/3 (Pavement, Fence and Car have no label in training); otherwise as camvid-240x320.py:
# whole images at 240x320 (height x width); labels are compared at their own size, 360x480
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='vkd.MaskUnseenLabels', unseen='camvid'),
                  dict(type='Resize', scale=(320, 240)), dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
test_pipeline = [dict(type='vkd.LoadImage'), dict(type='Resize', scale=(320, 240)), dict(type='vkd.LoadLabel'), dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=8, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
                        dataset=dict(type='vkd.ZeroShotCamVidDataset', split='train', pipeline=train_pipeline))
val_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
                      dataset=dict(type='vkd.ZeroShotCamVidDataset', split='val', pipeline=test_pipeline))
test_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
                       dataset=dict(type='vkd.ZeroShotCamVidDataset', split='test', pipeline=test_pipeline))
val_evaluator = test_evaluator = dict(type='vkd.ZeroShotIoUMetric')
