# 200 iterations of batch 8 (4.4 epochs), AdamW, one cycle. The 101 validation images share a sequence with the training set: they are for choosing; tables report the 233 test images.
protocol_name = 'quick'
protocol_fits = dict(data='camvid-*')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=200, val_interval=100)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01))
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=200, pct_start=0.2, by_epoch=False)]
