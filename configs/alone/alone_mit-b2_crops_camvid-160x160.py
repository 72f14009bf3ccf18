_base_ = ['../_base_/models/mit-b2.py', '../_base_/datasets/camvid-160x160.py', '../_base_/protocols/camvid_crops.py', '../_base_/runtime.py']
# a teacher may learn for longer than its students: 600 iterations
train_cfg = dict(max_iters=600, val_interval=300)
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=600, pct_start=0.2, by_epoch=False)]
