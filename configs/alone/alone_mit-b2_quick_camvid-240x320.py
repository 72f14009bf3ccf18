_base_ = ['../_base_/models/mit-b2.py', '../_base_/datasets/camvid-240x320.py', '../_base_/protocols/camvid_quick.py', '../_base_/runtime.py']
# a teacher may learn for longer than its students: 480 iterations
train_cfg = dict(max_iters=480, val_interval=240)
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=480, pct_start=0.2, by_epoch=False)]
