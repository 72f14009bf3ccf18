# 20000 iterations of batch 8 (436 epochs) for a GPU; the 101 validation images are for choosing, the 233 test images for tables
protocol_name = 'full'
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=2000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01))
param_scheduler = [dict(type='LinearLR', start_factor=0.01, end=500, by_epoch=False), dict(type='PolyLR', power=0.9, begin=500, end=20000, by_epoch=False)]
