# 40000 iterations of batch 4 on one GPU, the decoder alone: AdamW 1e-4, no weight decay on norms, poly 0.9
_base_ = './gkd_stage2.py'
protocol_name = 'stage2'
train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000, val_interval=4000)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=40000, by_epoch=False)]
