_base_ = ['../alone/alone_imdn-half_300k_div2k-x4.py', '../_base_/teachers/edsr-baseline.py']
model = dict(methods=[dict(type='WaveletKD')],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_edsr-baseline_300k_div2k-x4/iter_300000.pth'))
