# GKD 1a with DINOv2-B: DeiT-S on ImageNet, patches of 14, four GPUs; it begins with DeiT's distilled release, of which the distillation token is dropped, as the authors' does
_base_ = ['../_base_/models/gkd_stage1.py', '../_base_/teachers/dinov2-b.py', '../_base_/datasets/imagenet-unlabeled.py', '../_base_/protocols/gkd_stage1a_paper.py']
student_name = 'deit-s'
model = dict(student=dict(type='vkd.TimmViT', arch='deit_small_patch16_224', img_size=224, patch_size=14, init_cfg=dict(type='Pretrained', checkpoint='weights/deit_small_distilled_patch16_224-649709d9.pth')),
             teacher={{_base_.teacher}}, data_preprocessor=dict(size=(224, 224)), probe_shape=(3, 56, 56))
default_hooks = dict(checkpoint=dict(interval=5000))
