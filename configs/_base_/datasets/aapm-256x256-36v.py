# AAPM / Mayo 2016 as npy files of HU, sorted by name: the first 5,410 to train on, the last 526 to test (and choose) by, as in GloReDi's release; bilinear, HU not clipped
_base_ = 'deeplesion-256x256-36v.py'
data_name = 'aapm-256x256-36v'
pipeline = [dict(type='vkd.LoadCTSlice'), dict(type='vkd.ResizeHU', size=256, method='bilinear'), dict(type='vkd.PackCTInputs')]
dataset = dict(_delete_=True, type='vkd.CTSliceDataset', data_root='data/aapm', splits=dict(train=(0, 5410), test=(-526, None)), pipeline=pipeline)
train_dataloader = dict(dataset=dict(dataset, split='train'))
val_dataloader = dict(dataset=dict(dataset, split='test'))
test_dataloader = dict(dataset=dict(dataset, split='test'))
