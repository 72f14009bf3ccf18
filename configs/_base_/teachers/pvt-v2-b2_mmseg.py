# PVTv2-B2, 19 classes
_base_ = './pvt-v2-b2.py'
teacher_name = 'pvt-v2-b2'
teacher_fits = dict(protocol='mmseg')
teacher = dict(decode_head=dict(num_classes=19))
