# GKD 1a, task-agnostic: from scratch, on a proxy
_base_ = ['../_base_/models/gkd_stage1.py', '../_base_/teachers/vit-s_foundation.py', '../_base_/datasets/proxy-unlabeled.py', '../_base_/protocols/gkd_stage1.py']
protocol_name = 'stage1a'
student_name = 'deit-ti'
model = dict(student=dict(type='vkd.TimmViT', arch='deit_tiny_patch16_224', img_size=160), teacher={{_base_.teacher}})
