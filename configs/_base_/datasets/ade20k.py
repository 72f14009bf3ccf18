# ADE20K, prepared as VOC is: crops of 512x512 out of rescaled images, tested at a shorter side of 512, labels compared at their own size
_base_ = 'voc-aug.py'
data_name = 'ade20k-512x512'
train_dataloader = dict(dataset=dict(type='vkd.ADE20KDataset', split='training'))
val_dataloader = dict(dataset=dict(type='vkd.ADE20KDataset', split='validation'))
test_dataloader = val_dataloader
