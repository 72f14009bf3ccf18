_base_ = ['../_base_/models/mit-b0.py', '../_base_/datasets/ade20k.py', '../_base_/protocols/vit_80k.py', '../_base_/runtime.py']
model = dict(student=dict(decode_head=dict(num_classes=150)))
default_hooks = dict(checkpoint=dict(interval=2000))
