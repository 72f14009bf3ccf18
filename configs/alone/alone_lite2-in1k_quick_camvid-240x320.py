_base_ = ['../_base_/models/lite2.py', '../_base_/datasets/camvid-240x320.py', '../_base_/protocols/camvid_quick.py', '../_base_/runtime.py']
student_name = 'lite2-in1k'
model = dict(student=dict(checkpoint='pkg:efficientnet-lite2'))
# a teacher may learn for longer than its students: 400 iterations
train_cfg = dict(max_iters=400, val_interval=200)
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=400, pct_start=0.2, by_epoch=False)]
