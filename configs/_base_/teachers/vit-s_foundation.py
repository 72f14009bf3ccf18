# the ViT-S that featurekd_vit-s_lite2-in1k_foundation_unlabeled-240x240.py trains
teacher = dict(type='vkd.TimmViT', arch='deit_small_patch16_224', img_size=240, init_cfg=dict(type='Pretrained', checkpoint='work_dirs/featurekd_vit-s_lite2-in1k_foundation_unlabeled-240x240/iter_600.pth'))
