# the photographs of the proxy and CamVid's day sequences, without labels
_base_ = './camvid-day-unlabeled.py'
data_name = 'unlabeled-160x160'
train_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[
    _base_.train_dataloader.dataset, dict(type='vkd.UnlabeledImageDataset', data_root='data/sr/train', pipeline=_base_.train_pipeline)]))
