# GKD 1b of F2F: the release of a small DINOv2 begins, without 1a
_base_ = './gkd_deit-s_dinov2-b_stage1b_gtav-512x512.py'
student_name = 'dinov2-s'
model = dict(student=dict(arch='vit_small_patch14_dinov2', patch_size=16, init_cfg=dict(checkpoint='weights/dinov2_vits14_pretrain.pth')))
