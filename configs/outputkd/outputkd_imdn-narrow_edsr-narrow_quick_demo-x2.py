_base_ = ['../alone/alone_imdn-narrow_quick_demo-x2.py', '../_base_/teachers/edsr-narrow.py']
model = dict(methods=[dict(type='OutputKD')],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_edsr-narrow_quick_demo-x2/iter_600.pth'))
