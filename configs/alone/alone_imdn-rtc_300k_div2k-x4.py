_base_ = ['../_base_/models/imdn-rtc.py', '../_base_/datasets/div2k-x4.py', '../_base_/protocols/sr_300k.py', '../_base_/runtime.py']
default_hooks = dict(checkpoint=dict(interval=5000), logger=dict(interval=100))
