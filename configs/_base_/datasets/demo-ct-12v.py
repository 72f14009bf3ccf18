# phantoms drawn in code, 64x64: 12 views of 96; 200 to train on, 10 to choose by, 30 to test on
data_name = 'demo-ct-12v'
pipeline = [dict(type='vkd.DrawPhantom'), dict(type='vkd.PackCTInputs')]
scanner = dict(type='vkd.SparseViewCTPreprocessor', geometry=dict(size=64, views=96, bins=96, source=268.75, pixel_cm=0.64), views=12, cache='work_dirs/cache')
train_dataloader = dict(batch_size=8, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True), dataset=dict(type='vkd.DemoPhantomDataset', split='train', length=200, pipeline=pipeline))
val_dataloader = dict(batch_size=5, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(type='vkd.DemoPhantomDataset', split='val', length=10, pipeline=pipeline))
test_dataloader = dict(batch_size=5, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(type='vkd.DemoPhantomDataset', split='test', length=30, pipeline=pipeline))
val_evaluator = test_evaluator = dict(type='vkd.CTMetric')
