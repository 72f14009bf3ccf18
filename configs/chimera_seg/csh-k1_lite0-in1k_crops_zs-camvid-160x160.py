# with the last block of a CLIP without weights: random, and fixed
_base_ = './csh-k0_lite0-in1k_crops_zs-camvid-160x160.py'
model = dict(student=dict(decode_head=dict(num_blocks=1)))
