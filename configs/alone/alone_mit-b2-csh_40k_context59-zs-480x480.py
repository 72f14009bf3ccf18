# the head alone, without the class token's distillation
_base_ = '../chimeraseg/chimeraseg_mit-b2-csh_clip-b16_40k_context59-zs-480x480.py'
model = dict(teacher=None, methods=[])
