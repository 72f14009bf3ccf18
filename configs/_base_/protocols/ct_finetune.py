# the last ten epochs of ct_150e as a run of their own, from iteration 21,980 (140 epochs of 157): the student alone, at
# the rate that the schedule has reached
protocol_name = 'finetune'
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1570, val_interval=1570)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=6.25e-5, betas=(0.9, 0.999)))
param_scheduler = [dict(type='ConstantLR', factor=1.0, by_epoch=False, end=1570)]
sync_bn = 'torch'
