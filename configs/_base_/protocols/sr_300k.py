# EDSR's baseline as BasicSR trains it: Adam 1e-4, halved at 200,000; the short one for all networks here
protocol_name = '300k'
protocol_hooks = dict(checkpoint=dict(interval=5000), logger=dict(interval=100))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=300000, val_interval=5000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))
param_scheduler = [dict(type='MultiStepLR', milestones=[200000], gamma=0.5, by_epoch=False, end=300000)]
