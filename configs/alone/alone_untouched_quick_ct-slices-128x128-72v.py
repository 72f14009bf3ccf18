_base_ = ['../_base_/models/untouched.py', '../_base_/datasets/ct-slices-128x128-72v.py', '../_base_/protocols/ct_untouched.py', '../_base_/runtime.py']
model = dict(data_preprocessor={{_base_.scanner}})
