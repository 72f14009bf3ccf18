# the teacher is trained for longer than its students
_base_ = ['../_base_/models/edsr-baseline.py', '../_base_/datasets/t91-bsds-x4.py', '../_base_/protocols/sr_quick.py', '../_base_/runtime.py']
train_cfg = dict(max_iters=900)
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=900, pct_start=0.1, by_epoch=False)]
