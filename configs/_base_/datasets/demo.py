# scenes drawn in code: 400 to train on, 50 to choose by, 100 to test on
data_name = 'demo'
train_pipeline = [dict(type='vkd.DrawScene'), dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]
test_pipeline = [dict(type='vkd.DrawScene'), dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=8, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
                        dataset=dict(type='vkd.DemoDataset', split='train', length=400, pipeline=train_pipeline))
val_dataloader = dict(batch_size=10, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
                      dataset=dict(type='vkd.DemoDataset', split='val', length=50, pipeline=test_pipeline))
test_dataloader = dict(batch_size=10, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
                       dataset=dict(type='vkd.DemoDataset', split='test', length=100, pipeline=test_pipeline))
val_evaluator = test_evaluator = dict(type='vkd.SegMetric')
