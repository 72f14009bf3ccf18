# a foundation model of what is at hand: ViT-S learns the features of EfficientNet-Lite2 with ImageNet weights, from unlabelled photographs and day images; twice as long as a stage of the student
_base_ = ['../_base_/models/gkd_stage1.py', '../_base_/datasets/all-unlabeled.py', '../_base_/protocols/gkd_stage1.py']
protocol_name = 'foundation'
teacher_name = 'lite2-in1k'
student_name = 'vit-s'
model = dict(student=dict(type='vkd.TimmViT', arch='deit_small_patch16_224', img_size=160),
             teacher=dict(model=dict(type='TIMMBackbone', model_name='tf_efficientnet_lite2', features_only=True, pretrained=False, out_indices=(3,)), checkpoint='pkg:efficientnet-lite2',
                          view=dict(mean=[127.5] * 3, std=[127.5] * 3)),
             methods=[dict(type='FeatureKD', student='patches', teacher='[0]', loss='mse', normalize=True)])
train_cfg = dict(max_iters=600, val_interval=600)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-5, begin=0, end=600, by_epoch=False)]
