# IMDN's: Adam 2e-4, halved every 200,000 iterations
protocol_name = '1000k'
protocol_hooks = dict(checkpoint=dict(interval=10000), logger=dict(interval=100))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000000, val_interval=10000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-4, betas=(0.9, 0.999)))
param_scheduler = [dict(type='MultiStepLR', milestones=[200000, 400000, 600000, 800000], gamma=0.5, by_epoch=False, end=1000000)]
