# Pascal VOC 2012 with the labels of SBD: crops of 512x512 out of rescaled images, tested at a shorter side of 512, labels compared at their own size
data_name = 'voc-aug-512x512'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
                  dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75), dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='Pad', size=(512, 512)),
                  dict(type='PackSegInputs')]
test_pipeline = [dict(type='vkd.LoadImage'), dict(type='Resize', scale=(2048, 512), keep_ratio=True), dict(type='vkd.LoadLabel'), dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=16, num_workers=4, persistent_workers=True, sampler=dict(type='InfiniteSampler', shuffle=True),
                        dataset=dict(type='vkd.VOCDataset', split='trainaug', pipeline=train_pipeline))
val_dataloader = dict(batch_size=1, num_workers=4, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(type='vkd.VOCDataset', split='val', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='vkd.SegMetric')
