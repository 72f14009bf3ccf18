# SegFormer-B2 as TransKD's authors have it: 19 classes, [0, 1] inputs, linear projections into a decoder of 768 channels
_base_ = './mit-b2.py'
teacher_name = 'mit-b2'
teacher_fits = dict(protocol='official')
teacher = dict(data_preprocessor=dict(mean=[0.] * 3, std=[255.] * 3), decode_head=dict(type='vkd.LinearSegformerHead', channels=768, num_classes=19))
