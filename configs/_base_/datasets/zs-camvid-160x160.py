# generalised zero-shot: the labels of three classes are masked in training, all eleven compete in the test
_base_ = './camvid-160x160.py'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='vkd.MaskUnseenLabels', unseen='camvid'), dict(type='Resize', scale=(320, 240)),
                  dict(type='RandomCrop', crop_size=(160, 160), cat_max_ratio=0.75), dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
train_dataloader = dict(dataset=dict(type='vkd.ZeroShotCamVidDataset', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type='vkd.ZeroShotCamVidDataset'))
test_dataloader = dict(dataset=dict(type='vkd.ZeroShotCamVidDataset'))
val_evaluator = test_evaluator = dict(type='vkd.ZeroShotIoUMetric')
