# div2k-x4.py at x2
_base_ = 'div2k-x4.py'
data_name = 'div2k-x2'
train_dataloader, val_dataloader, test_dataloader = dict(dataset=dict(scale=2)), dict(dataset=dict(scale=2)), dict(dataset=dict(scale=2))
val_evaluator, test_evaluator = dict(crop_border=2), dict(crop_border=2)
