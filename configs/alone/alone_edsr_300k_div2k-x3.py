_base_ = ['../_base_/models/edsr.py', '../_base_/datasets/div2k-x3.py', '../_base_/protocols/sr_300k.py', '../_base_/runtime.py']
model = dict(student=dict(backbone=dict(scale=3)))
default_hooks = dict(checkpoint=dict(interval=5000), logger=dict(interval=100))
