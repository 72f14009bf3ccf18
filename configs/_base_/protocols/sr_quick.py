# 600 iterations of Adam, one cycle: our decision, for a first comparison on a CPU
protocol_name = 'quick'
protocol_fits = dict(data='t91-*')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=600, val_interval=150)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, betas=(0.9, 0.99)))
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=600, pct_start=0.1, by_epoch=False)]
