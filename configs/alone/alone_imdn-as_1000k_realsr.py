_base_ = ['../_base_/models/imdn-as.py', '../_base_/datasets/realsr.py', '../_base_/protocols/sr_1000k.py', '../_base_/runtime.py']
default_hooks = dict(checkpoint=dict(interval=10000), logger=dict(interval=100))
