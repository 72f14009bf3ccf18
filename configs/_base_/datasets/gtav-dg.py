# GTAV -> Cityscapes, BDD100K, Mapillary: one source, three targets, each resized to its own size; labels compared at their own size
data_name = 'gtav-dg-512x512'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='RandomChoiceResize', scales=[int(256 + 51.2 * i) for i in range(16)], resize_type='ResizeShortestEdge', max_size=2048),
                  dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75), dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
cityscapes_pipeline = [dict(type='vkd.LoadImage'), dict(type='Resize', scale=(1024, 512), keep_ratio=True), dict(type='vkd.LoadLabel'), dict(type='PackSegInputs')]
bdd100k_pipeline = [dict(type='vkd.LoadImage'), dict(type='Resize', scale=(1280, 720), keep_ratio=True), dict(type='vkd.LoadLabel'), dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=4, num_workers=4, persistent_workers=True, sampler=dict(type='InfiniteSampler', shuffle=True), dataset=dict(type='vkd.StreetDataset', name='gtav', pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(
    batch_size=1, num_workers=4, persistent_workers=True, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(type='vkd.MultiDomainDataset', datasets=[
        dict(domain='cityscapes', type='vkd.CityscapesDataset', split='val', pipeline=cityscapes_pipeline), dict(domain='bdd100k', type='vkd.StreetDataset', name='bdd100k', split='val', pipeline=bdd100k_pipeline),
        dict(domain='mapillary', type='vkd.StreetDataset', name='mapillary', split='val', pipeline=cityscapes_pipeline)]))
val_evaluator = test_evaluator = dict(type='vkd.MultiDomainIoUMetric')
