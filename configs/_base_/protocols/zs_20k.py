# 20000 iterations at the reconstruction's recipe, which is our decision: AdamW 6e-5, 1500 of warm-up, poly 0.9; the head ten times as fast, no decay of the body's norms and of the adapter's
protocol_name = '20k'
protocol_fits = dict(kind='zero-shot')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=2000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
                     paramwise_cfg=dict(custom_keys=dict(pos_block=dict(decay_mult=0.), norm=dict(decay_mult=0.), head=dict(lr_mult=10.), **{'decode_head.embed.norm': dict(lr_mult=10., decay_mult=0.)})))
param_scheduler = [dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500), dict(type='PolyLR', power=0.9, eta_min=0, begin=1500, end=20000, by_epoch=False)]
sync_bn = 'torch'  # takes effect in several processes on GPUs
