_base_ = ['../_base_/models/glorenet.py', '../_base_/datasets/aapm-256x256-18v.py', '../_base_/protocols/ct_150e.py', '../_base_/runtime.py']
model = dict(data_preprocessor={{_base_.scanner}})
default_hooks = dict(checkpoint=dict(interval=2355), logger=dict(interval=50))
