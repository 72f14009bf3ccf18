# SegFormer-B2 as mmsegmentation has it, 19 classes
_base_ = './mit-b2.py'
teacher_name = 'mit-b2'
teacher_fits = dict(protocol='mmseg')
teacher = dict(decode_head=dict(num_classes=19))
