# 300 iterations of batch 8 at 160x160, AdamW, cosine to 1e-5: what a CPU can do, far shorter than the authors' 300 epochs; the learning rate is not scaled down with the batch
protocol_name = 'stage1b'
train_cfg = dict(type='IterBasedTrainLoop', max_iters=300, val_interval=300)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-5, begin=0, end=300, by_epoch=False)]
