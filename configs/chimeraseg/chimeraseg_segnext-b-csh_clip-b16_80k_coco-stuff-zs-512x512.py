_base_ = ['../_base_/models/segnext-b.py', '../_base_/teachers/clip_vit-b-16.py', '../_base_/datasets/coco-stuff-zs.py', '../_base_/protocols/zs_80k.py', '../_base_/runtime.py']
student_name = 'segnext-b-csh'
model = dict(student=dict(data_preprocessor=dict(size=(512, 512), size_divisor=None), test_cfg=dict(_delete_=True, mode='slide', crop_size=(512, 512), stride=(426, 426)),
                          decode_head=dict(_delete_=True, type='vkd.ClipSemanticHead', inner={{_base_.student.decode_head}}, num_classes=171, unseen='coco-stuff',
                                           text_embeddings='work_dirs/text/coco-stuff.safetensors', clip={{_base_.clip}})),
             teacher={{_base_.teacher}}, methods=[dict(type='ChimeraSeg')])
default_hooks = dict(checkpoint=dict(interval=4000, max_keep_ckpts=-1))  # a transductive phase starts from the middle
