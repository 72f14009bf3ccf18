_base_ = ['../alone/alone_imdn-narrow_quick_demo-x2.py', '../_base_/teachers/edsr-narrow.py']
model = dict(methods=[dict(type='FAKD', student='backbone.conv_after_body', teacher='backbone.conv_after_body', pool=2, loss_weight=0.1)],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_edsr-narrow_quick_demo-x2/iter_600.pth'))
