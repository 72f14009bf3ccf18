# zero-shot 8/3 (Pavement, Fence and Car have no label in training); otherwise as camvid-240x320.py
_base_ = './camvid-240x320.py'
data_name = 'camvid-zs-240x320'
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.LoadLabel'), dict(type='vkd.MaskUnseenLabels', unseen='camvid'),
                  dict(type='Resize', scale=(320, 240)), dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
train_dataloader = dict(dataset=dict(type='vkd.ZeroShotCamVidDataset', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type='vkd.ZeroShotCamVidDataset'))
test_dataloader = dict(dataset=dict(type='vkd.ZeroShotCamVidDataset'))
val_evaluator = test_evaluator = dict(type='vkd.ZeroShotIoUMetric')
