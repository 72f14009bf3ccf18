_base_ = ['../alone/alone_mit-b0_crops_camvid-160x160.py', '../_base_/teachers/mit-b2.py']
model = dict(methods=[dict(type='FeatureKD', student='backbone[3]', teacher='backbone[3]', normalize=True)],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_mit-b2_crops_camvid-160x160/iter_600.pth'))
