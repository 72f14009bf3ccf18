# 600 iterations of batch 16 at 240x240, AdamW, cosine to 1e-5; far shorter than the authors' 300 epochs, and the learning rate is not scaled down with the batch
train_cfg = dict(type='IterBasedTrainLoop', max_iters=600, val_interval=600)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-5, begin=0, end=600, by_epoch=False)]
