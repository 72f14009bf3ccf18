# 80000 iterations for a CNN (Cityscapes), after CTCL-R's recipe, which is our decision: SGD, poly 0.9 to 1e-4
protocol_name = '80k'
protocol_fits = dict(kind='cnn')
protocol_hooks = dict(checkpoint=dict(interval=2000))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=8000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-4, end=80000, by_epoch=False)]
sync_bn = 'torch'  # takes effect in several processes on GPUs
