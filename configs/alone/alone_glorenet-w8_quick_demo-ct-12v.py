_base_ = ['../_base_/models/glorenet-w8.py', '../_base_/datasets/demo-ct-12v.py', '../_base_/protocols/ct_quick.py', '../_base_/runtime.py']
model = dict(data_preprocessor={{_base_.scanner}})
