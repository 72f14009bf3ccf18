# CTCL-R: each network as in its own config alone, with the optimizer and schedule it has there; ImageNet weights of the backbones by checkpoint=… and strict=False of model.student and model.teachers.vit
from mmengine import Config
_base_ = '../alone/alone_mobilenet-v2_80k_cityscapes-512x1024.py'
teacher_name = 'mit-b0'
vit = Config.fromfile('{{ fileDirname }}/../alone/alone_mit-b0_80k_cityscapes-512x1024.py')
model = dict(teachers=dict(vit=dict(model=vit.model.student, trainable=True)), methods=[dict(type='CTCL')])
optim_wrapper = dict(_delete_=True, constructor='vkd.PerRole', student={{_base_.optim_wrapper}}, vit=vit.optim_wrapper)
param_scheduler = dict(_delete_=True, student={{_base_.param_scheduler}}, vit=vit.param_scheduler)
val_evaluator = test_evaluator = dict(peers=dict(cnn='student', vit='vit'))
del Config, vit
