# the CLIP semantic head without a block of CLIP: adapter, last layer norm and projection. No weights of CLIP: those two are random (and fixed), the text rows are real
_base_ = './alone_lite0-in1k_crops_camvid-zs-160x160.py'
student_name = 'lite0-in1k-csh-k0'
model = dict(student=dict(decode_head=dict(_delete_=True, type='vkd.ClipSemanticHead', inner={{_base_.model.student.decode_head}}, num_classes=11, unseen='camvid', text_embeddings='work_dirs/text/camvid.safetensors',
                                           clip=dict(name='ViT-B-16-quickgelu', random=True), num_blocks=0)))
