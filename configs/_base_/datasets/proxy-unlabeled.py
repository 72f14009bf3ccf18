# a proxy of ImageNet for the task-agnostic stage: photographs of T91 and BSDS500 (its training and test parts)
_base_ = './camvid-day-unlabeled.py'
data_name = 'proxy-160x160'
train_dataloader = dict(dataset=dict(_delete_=True, type='vkd.UnlabeledImageDataset', data_root=['data/sr/train'], pipeline=_base_.train_pipeline))
