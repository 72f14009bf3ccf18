# the head alone, without the class token's distillation
_base_ = '../chimeraseg/chimeraseg_swin-t-csh_clip-b16_80k_coco-stuff-zs-512x512.py'
model = dict(teacher=None, methods=[])
