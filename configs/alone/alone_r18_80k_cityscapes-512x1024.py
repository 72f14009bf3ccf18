_base_ = ['../_base_/models/r18.py', '../_base_/datasets/cityscapes_mmseg.py', '../_base_/protocols/cnn_80k.py', '../_base_/runtime.py']
default_hooks = dict(checkpoint=dict(interval=2000))
