# 20000 iterations for a SegFormer (CamVid), after CTCL-R's recipe, which is our decision: AdamW 6e-5, 1500 of warm-up, then a line to 0; the decoder ten times as fast, no decay of norms
protocol_name = '20k'
protocol_fits = dict(kind='transformer')
protocol_hooks = dict(checkpoint=dict(interval=2000))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=2000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
                     paramwise_cfg=dict(custom_keys=dict(pos_block=dict(decay_mult=0.), norm=dict(decay_mult=0.), head=dict(lr_mult=10.))))
param_scheduler = [dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500), dict(type='PolyLR', power=1.0, eta_min=0, begin=1500, end=20000, by_epoch=False)]
sync_bn = 'torch'  # takes effect in several processes on GPUs
