# trained on crops of 160x160 from images at 240x320; tested on whole images at 240x320, labels compared at their own size, 360x480
_base_ = './camvid-240x320.py'
data_name = 'camvid-160x160'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='Resize', scale=(320, 240)), dict(type='RandomCrop', crop_size=(160, 160), cat_max_ratio=0.75),
                  dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
