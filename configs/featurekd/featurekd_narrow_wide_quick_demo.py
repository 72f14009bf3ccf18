_base_ = ['../alone/alone_narrow_quick_demo.py', '../_base_/teachers/wide.py']
model = dict(methods=[dict(type='FeatureKD', student='decode_head.fusion_conv', teacher='decode_head.fusion_conv', normalize=True, adapter='always')],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_wide_quick_demo/iter_900.pth'))
