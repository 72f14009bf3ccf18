# 300 iterations of batch 8 on the decoder; no weight decay on norms
protocol_name = 'domains'
protocol_fits = dict(student=['*-gkd*', '*-mse'])
train_cfg = dict(type='IterBasedTrainLoop', max_iters=300, val_interval=300)
optim_wrapper = dict(constructor='vkd.TrainedOnly', type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05), paramwise_cfg=dict(norm_decay_mult=0.))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=300, by_epoch=False)]
