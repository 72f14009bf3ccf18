# t91-bsds-x4.py at x3
_base_ = 't91-bsds-x4.py'
data_name = 't91-bsds-x3'
train_dataloader, val_dataloader, test_dataloader = dict(dataset=dict(scale=3)), dict(dataset=dict(scale=3)), dict(dataset=dict(scale=3))
val_evaluator, test_evaluator = dict(crop_border=3), dict(crop_border=3)
