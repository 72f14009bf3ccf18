# Pascal Context without background, zero-shot 49/10: labels of unseen classes are masked in training, all 59 classes compete in the test; sizes as in mmseg's pascal_context_59.py
data_name = 'context59-zs-480x480'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='vkd.MaskUnseenLabels', unseen='context59'),
                  dict(type='RandomResize', scale=(520, 520), ratio_range=(0.5, 2.0), keep_ratio=True), dict(type='RandomCrop', crop_size=(480, 480), cat_max_ratio=0.75),
                  dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
test_pipeline = [dict(type='vkd.LoadImage'), dict(type='Resize', scale=(520, 520), keep_ratio=True), dict(type='vkd.LoadLabel'), dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=16, num_workers=4, persistent_workers=True, sampler=dict(type='InfiniteSampler', shuffle=True),
                        dataset=dict(type='vkd.PascalContext59Dataset', split='train', pipeline=train_pipeline))
val_dataloader = dict(batch_size=1, num_workers=4, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(type='vkd.PascalContext59Dataset', split='val', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='vkd.ZeroShotIoUMetric')
