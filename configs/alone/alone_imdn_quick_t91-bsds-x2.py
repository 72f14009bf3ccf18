_base_ = ['../_base_/models/imdn.py', '../_base_/datasets/t91-bsds-x2.py', '../_base_/protocols/sr_quick.py', '../_base_/runtime.py']
model = dict(student=dict(backbone=dict(scale=2)))
