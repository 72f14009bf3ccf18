_base_ = ['../alone/alone_narrow_quick_demo.py', '../_base_/teachers/wide.py']
model = dict(methods=[dict(type='KL')],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_wide_quick_demo/iter_900.pth'))
