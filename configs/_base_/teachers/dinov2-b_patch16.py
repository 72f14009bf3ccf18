# DINOv2 ViT-B with its patch kernel resized to 16, as a picture: another network than the one of timm's way of resizing; positions without an offset, as the authors convert the file of this stage
_base_ = './dinov2-b.py'
teacher_name = 'dinov2-b'
teacher_fits = dict(protocol='stage1b')
teacher = dict(img_size=512, patch_size=16, interpolate_offset=0.)
