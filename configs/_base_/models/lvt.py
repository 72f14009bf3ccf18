# Lite Vision Transformer under SegFormer's head, from scratch
_base_ = './mit-b0.py'
student_name = 'lvt'
student_kind = 'transformer'
model = dict(student=dict(backbone=dict(_delete_=True, type='vkd.LiteVisionTransformer', drop_path_rate=0.1), decode_head=dict(in_channels=[64, 64, 160, 256])))
