# DINOv2 ViT-S with patches of 16 at 512x512, tested by windows of that size
_base_ = './deit-s.py'
student_name = 'dinov2-s'
student_kind = 'transformer'
model = dict(student=dict(backbone=dict(arch='vit_small_patch14_dinov2', patch_size=16)))
