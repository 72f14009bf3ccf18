# 100 epochs of ImageNet in batches of 512: AdamW 5e-4 (5e-4 x batch / 512), cosine to 1e-5, half precision
protocol_name = 'stage1a'
train_cfg = dict(type='IterBasedTrainLoop', max_iters=250000, val_interval=250000)
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-5, begin=0, end=250000, by_epoch=False)]
