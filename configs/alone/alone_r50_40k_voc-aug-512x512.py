_base_ = ['../_base_/models/r50.py', '../_base_/datasets/voc-aug.py', '../_base_/protocols/cnn_40k.py', '../_base_/runtime.py']
model = dict(student=dict(decode_head=dict(num_classes=21), auxiliary_head=dict(num_classes=21)))
default_hooks = dict(checkpoint=dict(interval=2000))
