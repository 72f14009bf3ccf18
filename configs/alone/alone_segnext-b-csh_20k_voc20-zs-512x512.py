# the head alone, without the class token's distillation
_base_ = '../chimeraseg/chimeraseg_segnext-b-csh_clip-b16_20k_voc20-zs-512x512.py'
model = dict(teacher=None, methods=[])
