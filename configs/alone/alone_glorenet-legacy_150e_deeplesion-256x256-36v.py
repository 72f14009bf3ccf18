_base_ = ['../_base_/models/glorenet-legacy.py', '../_base_/datasets/deeplesion-256x256-36v.py', '../_base_/protocols/ct_150e.py', '../_base_/runtime.py']
model = dict(data_preprocessor={{_base_.scanner}})
default_hooks = dict(checkpoint=dict(interval=2355), logger=dict(interval=50))
