# GloReDi's sample run: 150 epochs of 157 batches of 256 (32 on each of 8 GPUs), Adam 5e-4 halved every 45; the same iterations on other data, which is our decision
protocol_name = '150e'
protocol_hooks = dict(checkpoint=dict(interval=2355), logger=dict(interval=50))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=23550, val_interval=2355)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=5e-4, betas=(0.9, 0.999)))
param_scheduler = [dict(type='MultiStepLR', milestones=[7065, 14130, 21195], gamma=0.5, by_epoch=False, end=23550)]
sync_bn = 'torch'  # takes effect in several processes on GPUs
