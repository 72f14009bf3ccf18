# GKD 1b, domain-agnostic: on the images of the source domain; a student as it comes (F2F)
_base_ = ['../_base_/models/gkd_stage1.py', '../_base_/teachers/vit-s_foundation.py', '../_base_/datasets/camvid-day-unlabeled.py', '../_base_/protocols/gkd_stage1.py']
student_name = 'deit-ti'
model = dict(student=dict(type='vkd.TimmViT', arch='deit_tiny_patch16_224', img_size=160), teacher={{_base_.teacher}})
