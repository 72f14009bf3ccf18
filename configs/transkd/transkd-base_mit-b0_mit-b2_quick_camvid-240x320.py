_base_ = ['../alone/alone_mit-b0_quick_camvid-240x320.py', '../_base_/teachers/mit-b2.py']
model = dict(methods=[dict(type='TransKD', variant='base')],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_mit-b2_quick_camvid-240x320/iter_400.pth'))
