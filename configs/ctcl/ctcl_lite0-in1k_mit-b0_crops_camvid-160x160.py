# CTCL-R: EfficientNet-Lite0 and SegFormer-B0 (from scratch, on its own normalisation), both under the protocol's one optimizer
from mmengine import Config
_base_ = '../alone/alone_lite0-in1k_crops_camvid-160x160.py'
teacher_name = 'mit-b0'
vit = Config.fromfile('{{ fileDirname }}/../alone/alone_mit-b0_crops_camvid-160x160.py').model.student
model = dict(teachers=dict(vit=dict(model=vit, trainable=True, view=dict(mean=vit.data_preprocessor.mean, std=vit.data_preprocessor.std))), methods=[dict(type='CTCL')])
val_evaluator = test_evaluator = dict(peers=dict(cnn='student', vit='vit'))
del Config, vit
