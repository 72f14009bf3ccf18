# 900 iterations of batch 8: what a CPU does while one waits
protocol_name = 'quick'
protocol_fits = dict(data='demo')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=900, val_interval=300)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01))
param_scheduler = [dict(type='OneCycleLR', eta_max=2e-3, total_steps=900, pct_start=0.2, by_epoch=False)]
