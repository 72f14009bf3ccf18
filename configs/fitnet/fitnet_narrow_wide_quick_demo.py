_base_ = ['../alone/alone_narrow_quick_demo.py', '../_base_/teachers/wide.py']
model = dict(methods=[dict(type='FitNet', student='backbone[1]', teacher='backbone[1]')],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_wide_quick_demo/iter_900.pth'))
