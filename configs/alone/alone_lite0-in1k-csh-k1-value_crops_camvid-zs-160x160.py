# of the last block the values alone, so that places stay apart
_base_ = './alone_lite0-in1k-csh-k0_crops_camvid-zs-160x160.py'
student_name = 'lite0-in1k-csh-k1-value'
model = dict(student=dict(decode_head=dict(num_blocks=1, attn_mode='value')))
