# with the last block of a CLIP without weights: random, and fixed; on fewer tokens, for a CPU
_base_ = './alone_lite0-in1k-csh-k0_crops_camvid-zs-160x160.py'
student_name = 'lite0-in1k-csh-k1'
model = dict(student=dict(decode_head=dict(num_blocks=1, max_tokens=256, test_tokens=1024)))
