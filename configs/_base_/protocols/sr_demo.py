# 600 iterations of Adam, one cycle: what a CPU does while one waits
protocol_name = 'quick'
protocol_fits = dict(data='demo-x*')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=600, val_interval=200)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-3, betas=(0.9, 0.99)))
param_scheduler = [dict(type='OneCycleLR', eta_max=2e-3, total_steps=600, pct_start=0.2, by_epoch=False)]
