_base_ = ['../alone/alone_imdn-narrow_quick_demo-x2.py', '../_base_/teachers/edsr-narrow.py']
model = dict(methods=[dict(type='FeatureKD', student='backbone.conv_after_body', teacher='backbone.conv_after_body', normalize=True, loss_weight=0.01)],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_edsr-narrow_quick_demo-x2/iter_600.pth'))
