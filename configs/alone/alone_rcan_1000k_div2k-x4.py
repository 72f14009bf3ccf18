# the source's learning rate is half of IMDN's; its schedule, batch and patches are the same
_base_ = ['../_base_/models/rcan.py', '../_base_/datasets/div2k-x4.py', '../_base_/protocols/sr_1000k.py', '../_base_/runtime.py']
optim_wrapper = dict(optimizer=dict(lr=1e-4))
default_hooks = dict(checkpoint=dict(interval=10000), logger=dict(interval=100))
