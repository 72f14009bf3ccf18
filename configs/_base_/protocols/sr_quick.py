# 3000 iterations of Adam, one cycle: our decision, for a first comparison on small images
train_cfg = dict(type='IterBasedTrainLoop', max_iters=3000, val_interval=500)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, betas=(0.9, 0.99)))
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=3000, pct_start=0.1, by_epoch=False)]
