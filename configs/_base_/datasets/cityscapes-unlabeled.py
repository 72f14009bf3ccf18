# the training cities of Cityscapes without their labels; never the validation set, which may be a target
_base_ = './gtav-unlabeled.py'
data_name = 'cityscapes-512x512'
train_dataloader = dict(dataset=dict(data_root='data/cityscapes/leftImg8bit/train', targets=['data/cityscapes/leftImg8bit/val']))
