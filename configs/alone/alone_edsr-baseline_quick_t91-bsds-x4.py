# the teacher is trained for longer than its students
_base_ = ['../_base_/models/edsr-baseline.py', '../_base_/datasets/t91-bsds-x4.py', '../_base_/protocols/sr_quick.py', '../_base_/runtime.py']
default_hooks = dict(checkpoint=dict(interval=250))
train_cfg = dict(max_iters=1500)
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=1500, pct_start=0.1, by_epoch=False)]
