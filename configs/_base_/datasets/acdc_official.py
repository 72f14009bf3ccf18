# acdc, resized to a shorter side of 512; a shift of up to 2 pixels on either axis moves image and label alike
data_name = 'acdc-512x1024'
data_fits = dict(protocol='official')
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='Resize', scale=(912, 512), keep_ratio=True), dict(type='RandomFlip', prob=0.5),
                  dict(type='vkd.RandomShift', most=2), dict(type='PackSegInputs')]
test_pipeline = [dict(type='vkd.LoadImage'), dict(type='Resize', scale=(912, 512), keep_ratio=True), dict(type='vkd.LoadLabel'), dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=2, num_workers=4, persistent_workers=True, sampler=dict(type='InfiniteSampler', shuffle=True),
                        dataset=dict(type='vkd.ACDCDataset', split='train', pipeline=train_pipeline))
val_dataloader = dict(batch_size=1, num_workers=4, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(type='vkd.ACDCDataset', split='val', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='vkd.SegMetric')
