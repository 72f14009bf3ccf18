# Pascal VOC 2012 without background, zero-shot 15/5: labels of unseen classes are masked in training, all 20 classes compete in the test; the preprocessor pads; otherwise as voc-aug.py
_base_ = './voc-aug.py'
data_name = 'voc20-zs-512x512'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='vkd.MaskUnseenLabels', unseen='voc20'),
                  dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True), dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
                  dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
train_dataloader = dict(dataset=dict(type='vkd.VOC20Dataset', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type='vkd.VOC20Dataset'))
test_dataloader = dict(dataset=dict(type='vkd.VOC20Dataset'))
val_evaluator = test_evaluator = dict(type='vkd.ZeroShotIoUMetric')
