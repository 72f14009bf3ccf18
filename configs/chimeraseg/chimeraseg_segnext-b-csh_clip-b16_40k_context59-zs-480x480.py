_base_ = ['../_base_/models/segnext-b.py', '../_base_/teachers/clip_vit-b-16.py', '../_base_/datasets/context59-zs.py', '../_base_/protocols/zs_40k.py', '../_base_/runtime.py']
student_name = 'segnext-b-csh'
model = dict(student=dict(data_preprocessor=dict(size=(480, 480), size_divisor=None), test_cfg=dict(_delete_=True, mode='slide', crop_size=(480, 480), stride=(320, 320)),
                          decode_head=dict(_delete_=True, type='vkd.ClipSemanticHead', inner={{_base_.student.decode_head}}, num_classes=59, unseen='context59',
                                           text_embeddings='work_dirs/text/context59.safetensors', clip={{_base_.clip}})),
             teacher={{_base_.teacher}}, methods=[dict(type='ChimeraSeg')])
default_hooks = dict(checkpoint=dict(interval=4000, max_keep_ckpts=-1))  # a transductive phase starts from the middle
