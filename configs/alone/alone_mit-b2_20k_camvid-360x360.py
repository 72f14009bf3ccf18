_base_ = ['../_base_/models/mit-b2.py', '../_base_/datasets/camvid-360x360.py', '../_base_/protocols/vit_20k.py', '../_base_/runtime.py']
default_hooks = dict(checkpoint=dict(interval=2000))
