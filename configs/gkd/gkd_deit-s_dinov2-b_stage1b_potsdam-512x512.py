# GKD 1b after 1a: 300 epochs of the 3456 training tiles of Potsdam RGB, four GPUs
_base_ = ['../_base_/models/gkd_stage1.py', '../_base_/teachers/dinov2-b_patch16.py', '../_base_/datasets/potsdam-unlabeled.py', '../_base_/protocols/gkd_stage1b_paper.py']
student_name = 'deit-s'
model = dict(student=dict(type='vkd.TimmViT', arch='deit_small_patch16_224', img_size=512, init_cfg=dict(type='Pretrained', checkpoint='work_dirs/gkd_deit-s_dinov2-b_stage1a_imagenet-224x224/iter_250000.pth')),
             teacher={{_base_.teacher}}, data_preprocessor=dict(size=(512, 512)))
train_cfg = dict(max_iters=8100, val_interval=8100)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-5, begin=0, end=8100, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=1000))
