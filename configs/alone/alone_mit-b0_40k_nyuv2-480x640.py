_base_ = ['../_base_/models/mit-b0.py', '../_base_/datasets/nyuv2-480x640.py', '../_base_/protocols/vit_40k.py', '../_base_/runtime.py']
model = dict(student=dict(decode_head=dict(num_classes=40)))
default_hooks = dict(checkpoint=dict(interval=2000))
