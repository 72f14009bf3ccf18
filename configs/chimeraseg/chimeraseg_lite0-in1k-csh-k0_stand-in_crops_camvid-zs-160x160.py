# selective global distillation from a stand-in for CLIP's image tower, fitted by tools/fit_text_tower.py on seen labels: it tests the machinery, not the method
_base_ = '../alone/alone_lite0-in1k-csh-k0_crops_camvid-zs-160x160.py'
teacher_name = 'stand-in'
model = dict(teacher=dict(model=dict(type='vkd.LinearTextTower', backbone=dict(type='TIMMBackbone', model_name='tf_efficientnet_lite0', features_only=True, pretrained=False, out_indices=(4,)),
                                        channels=320, width=512), checkpoint='work_dirs/text/stand-in_camvid.pth'),
             methods=[dict(type='ChimeraSeg', teacher='project')])
