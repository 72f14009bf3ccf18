# 300 iterations of batch 8, AdamW, one cycle: a third of the pixels of camvid_quick a step, for networks from scratch that need more steps. Validation images for choosing, test images for tables, as there.
protocol_name = 'crops'
train_cfg = dict(type='IterBasedTrainLoop', max_iters=300, val_interval=150)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01))
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=300, pct_start=0.2, by_epoch=False)]
