# the second, transductive phase of context59-zs.py: labels are padded with 200, so that padding is never pseudo-labelled (the preprocessor of the model needs seg_pad_val=200 as well)
_base_ = ['context59-zs.py']
data_name = 'context59-zs-transductive'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='vkd.MaskUnseenLabels', unseen='context59', pad_value=200),
                  dict(type='RandomResize', scale=(520, 520), ratio_range=(0.5, 2.0), keep_ratio=True), dict(type='RandomCrop', crop_size=(480, 480), cat_max_ratio=0.75),
                  dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
