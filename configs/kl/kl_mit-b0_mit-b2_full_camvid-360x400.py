_base_ = ['../alone/alone_mit-b0_full_camvid-360x400.py', '../_base_/teachers/mit-b2.py']
model = dict(methods=[dict(type='KL')],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_mit-b2_full_camvid-360x400/iter_20000.pth'))
