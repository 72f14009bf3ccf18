# trained on crops of 160x160 from images at 240x320, as camvid-160x160.py
_base_ = './camvid-zs-240x320.py'
data_name = 'camvid-zs-160x160'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='vkd.MaskUnseenLabels', unseen='camvid'), dict(type='Resize', scale=(320, 240)),
                  dict(type='RandomCrop', crop_size=(160, 160), cat_max_ratio=0.75), dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
