# GTAV without its labels, 32 crops of 512x512 a GPU, four GPUs
data_name = 'gtav-512x512'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.ImageNetAugment', size=512), dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=32, num_workers=10, persistent_workers=True, sampler=dict(type='vkd.RepeatedAugmentation'), dataset=dict(type='vkd.UnlabeledImageDataset', data_root='data/gtav/images', pipeline=train_pipeline))
