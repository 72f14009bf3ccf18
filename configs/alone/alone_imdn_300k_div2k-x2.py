_base_ = ['../_base_/models/imdn.py', '../_base_/datasets/div2k-x2.py', '../_base_/protocols/sr_300k.py', '../_base_/runtime.py']
model = dict(student=dict(backbone=dict(scale=2)))
default_hooks = dict(checkpoint=dict(interval=5000), logger=dict(interval=100))
