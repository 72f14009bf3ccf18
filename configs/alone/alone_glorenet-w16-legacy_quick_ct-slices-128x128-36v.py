_base_ = ['../_base_/models/glorenet-w16-legacy.py', '../_base_/datasets/ct-slices-128x128-36v.py', '../_base_/protocols/ct_quick.py', '../_base_/runtime.py']
model = dict(data_preprocessor={{_base_.scanner}})
