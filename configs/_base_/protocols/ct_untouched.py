# at a rate of 0, since a run trains before it is tested
protocol_name = 'quick'
protocol_fits = dict(task='ct', student='untouched')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=300, val_interval=300)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.0))
param_scheduler = [dict(type='ConstantLR', factor=1.0, by_epoch=False, end=300)]
