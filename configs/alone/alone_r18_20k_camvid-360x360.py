_base_ = ['../_base_/models/r18.py', '../_base_/datasets/camvid-360x360.py', '../_base_/protocols/cnn_20k.py', '../_base_/runtime.py']
model = dict(student=dict(decode_head=dict(num_classes=11), auxiliary_head=dict(num_classes=11)))
default_hooks = dict(checkpoint=dict(interval=2000))
