# the ViT-S that featurekd_vit-s_lite2-in1k_foundation_unlabeled-160x160.py trains
teacher_name = 'vit-s'
teacher = dict(type='vkd.TimmViT', arch='deit_small_patch16_224', img_size=160, init_cfg=dict(type='Pretrained', checkpoint='work_dirs/featurekd_vit-s_lite2-in1k_foundation_unlabeled-160x160/iter_600.pth'))
