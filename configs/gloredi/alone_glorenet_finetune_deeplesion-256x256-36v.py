# the last stage: after 140 epochs the distilled student goes on alone for ten, its pixel loss uncapped
_base_ = ['../_base_/models/glorenet.py', '../_base_/datasets/deeplesion-256x256-36v.py', '../_base_/protocols/ct_finetune.py', '../_base_/runtime.py']
model = dict(data_preprocessor={{_base_.scanner}}, student=dict(loss_cap=None, checkpoint='work_dirs/gloredi-full_glorenet_dense_150e_deeplesion-256x256-36v/iter_21980.pth', prefix='student.'))
default_hooks = dict(checkpoint=dict(interval=1570), logger=dict(interval=50))
