# starts from the trained x2 network, whose last layer alone differs in shape
_base_ = ['../_base_/models/imdn.py', '../_base_/datasets/div2k-x3.py', '../_base_/protocols/sr_1000k.py', '../_base_/runtime.py']
model = dict(student=dict(_delete_=True, model=dict(type='vkd.Restorer', backbone=dict(type='IMDN', scale=3, channels=64, blocks=6)), checkpoint='work_dirs/alone_imdn_1000k_div2k-x2/iter_1000000.pth', strict=False))
default_hooks = dict(checkpoint=dict(interval=10000), logger=dict(interval=100))
