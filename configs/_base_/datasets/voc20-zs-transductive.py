# the second, transductive phase of voc20-zs.py: labels are padded with 200, so that padding is never pseudo-labelled (the preprocessor of the model needs seg_pad_val=200 as well)
_base_ = ['voc20-zs.py']
data_name = 'voc20-zs-transductive'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='vkd.MaskUnseenLabels', unseen='voc20', pad_value=200),
                  dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True), dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
                  dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
