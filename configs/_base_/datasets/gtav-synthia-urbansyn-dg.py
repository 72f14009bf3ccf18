# three sources at once, by images, and the targets of gtav-dg
_base_ = './gtav-dg.py'
data_name = 'gtav-synthia-urbansyn-dg'
train_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[dict(type='vkd.StreetDataset', name=name, pipeline=_base_.train_pipeline) for name in ('gtav', 'synthia', 'urbansyn')]))
