# DeepLesion by GloReDi's lists (40,000 slices of 303 patients, 1,000 of 18 others, by which the release also chooses), reduced to 256x256 by Pillow; 36 of 720 views. Back-projections take 0.26 MB each.
data_name = 'deeplesion-256x256-36v'
pipeline = [dict(type='vkd.LoadCTSlice', offset=32768), dict(type='vkd.ResizeHU', size=256, method='bicubic'), dict(type='vkd.ClipHU', low=-1024, high=3072), dict(type='vkd.PackCTInputs')]
dataset = dict(type='vkd.CTSliceDataset', data_root='data/deeplesion/Images_png', lists=dict(train='../deeplesion_train_list.txt', test='../deeplesion_test_list.txt'), pipeline=pipeline)
scanner = dict(type='vkd.SparseViewCTPreprocessor', geometry=dict(size=256, views=720, bins=672, source=1075.0, pixel_cm=0.16), views=36, cache='work_dirs/cache')
train_dataloader = dict(batch_size=32, num_workers=8, sampler=dict(type='InfiniteSampler', shuffle=True), dataset=dict(dataset, split='train'))
val_dataloader = test_dataloader = dict(batch_size=1, num_workers=4, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(dataset, split='test'))
val_evaluator = test_evaluator = dict(type='vkd.CTMetric')
