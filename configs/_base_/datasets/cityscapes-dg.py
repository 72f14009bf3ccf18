# Cityscapes -> ACDC by condition; its own validation set is scored beside them and stays out of the mean
_base_ = './gtav-dg.py'
data_name = 'cityscapes-dg-512x512'
train_dataloader = dict(dataset=dict(_delete_=True, type='vkd.CityscapesDataset', split='train', pipeline=_base_.train_pipeline))
acdc_pipeline = [dict(type='vkd.LoadImage'), dict(type='Resize', scale=(960, 540), keep_ratio=True), dict(type='vkd.LoadLabel'), dict(type='PackSegInputs')]
targets = [dict(domain=condition, type='vkd.ACDCDataset', split='val', conditions=(condition,), pipeline=acdc_pipeline) for condition in ('night', 'snow', 'fog', 'rain')]
targets += [dict(domain='cityscapes', type='vkd.CityscapesDataset', split='val', pipeline=_base_.cityscapes_pipeline)]
val_dataloader = dict(dataset=dict(datasets=targets))
test_dataloader = dict(dataset=dict(datasets=targets))
val_evaluator = dict(mean_over=['night', 'snow', 'fog', 'rain'])
test_evaluator = dict(mean_over=['night', 'snow', 'fog', 'rain'])
del targets
