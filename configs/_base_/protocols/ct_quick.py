# 300 iterations of Adam, one cycle: our decision, for a first comparison on small slices
protocol_name = 'quick'
protocol_fits = dict(task='ct')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=300, val_interval=100)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-3, betas=(0.9, 0.999)))
param_scheduler = [dict(type='OneCycleLR', eta_max=2e-3, total_steps=300, pct_start=0.2, by_epoch=False)]
