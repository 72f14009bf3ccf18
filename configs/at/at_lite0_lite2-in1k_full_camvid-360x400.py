_base_ = ['../alone/alone_lite0_full_camvid-360x400.py', '../_base_/teachers/lite2.py']
model = dict(methods=[dict(type='AT', loss_weight=10.)],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_lite2-in1k_full_camvid-360x400/iter_20000.pth'))
