# 300 epochs of GTAV's 24966 images in batches of 128: AdamW 1.25e-4 (5e-4 x batch / 512), cosine to 1e-5, half precision
protocol_name = 'stage1b'
train_cfg = dict(type='IterBasedTrainLoop', max_iters=58500, val_interval=58500)
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(type='AdamW', lr=1.25e-4, weight_decay=0.05))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-5, begin=0, end=58500, by_epoch=False)]
