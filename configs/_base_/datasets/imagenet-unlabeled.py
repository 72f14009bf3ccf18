# ImageNet-1k without its labels, 128 crops of 224x224 a GPU, four GPUs
data_name = 'imagenet-224x224'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.ImageNetAugment', size=224), dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=128, num_workers=10, persistent_workers=True, sampler=dict(type='vkd.RepeatedAugmentation'), dataset=dict(type='vkd.UnlabeledImageDataset', data_root='data/imagenet/train', pipeline=train_pipeline))
