# 1000 epochs of batch 2, AdamW 6e-5 in one group, the learning rate on a line that would reach 0 after 1500 epochs
protocol_name = 'official'
protocol_fits = dict(data='acdc-*')
protocol_hooks = dict(checkpoint=dict(interval=4000))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=800000, val_interval=16000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01))
param_scheduler = [dict(type='PolyLR', power=1.0, eta_min=0, end=1200000, by_epoch=False)]
