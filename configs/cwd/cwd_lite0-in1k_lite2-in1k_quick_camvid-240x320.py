_base_ = ['../alone/alone_lite0-in1k_quick_camvid-240x320.py', '../_base_/teachers/lite2.py']
model = dict(methods=[dict(type='CWD')],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_lite2-in1k_quick_camvid-240x320/iter_400.pth'))
