# DINOv2 ViT-B/14, the official file; resized to patches of 16 where a stage says so. Its positions are resized by DINOv2's own rule, as in the authors' stage 1a
teacher_name = 'dinov2-b'
teacher = dict(type='vkd.TimmViT', arch='vit_base_patch14_dinov2', img_size=224, interpolate_offset=0.1, init_cfg=dict(type='Pretrained', checkpoint='weights/dinov2_vitb14_pretrain.pth'))
