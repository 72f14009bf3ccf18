# Real slices of five sources, reduced to 128x128 by means of pixels (3.2 mm a pixel at the full scan's scale): train on one chest, one abdomen and ten patients with one slice each; choose by five more;
# test on another chest, and on a head from another scanner with a tilted gantry. The scanner of GloReDi's release in pixels of twice the side. Back-projections are kept below work_dirs/cache.
data_name = 'ct-slices-128x128-36v'
splits = dict(train=['Lung_Dx-A0001*', 'andrei_abdomen', 'tcga_luad_000?'], val=['tcga_luad_001?'], test={'chest A0002': ['Lung_Dx-A0002*'], 'head': ['GE_head_tilt']})
pipeline = [dict(type='vkd.LoadCTSlice', offset=1024), dict(type='vkd.ResizeHU', size=128, method='area'), dict(type='vkd.ClipHU', low=-1024, high=3072), dict(type='vkd.PackCTInputs')]
dataset = dict(type='vkd.CTSliceDataset', data_root='data/ct', index='index.json', splits=splits, pipeline=pipeline)
scanner = dict(type='vkd.SparseViewCTPreprocessor', geometry=dict(size=128, views=720, bins=336, source=537.5, pixel_cm=0.32), views=36, cache='work_dirs/cache')
train_dataloader = dict(batch_size=4, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True), dataset=dict(dataset, split='train'))
val_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(dataset, split='val'))
test_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(dataset, split='test'))
val_evaluator = test_evaluator = dict(type='vkd.CTMetric')
