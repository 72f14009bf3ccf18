_base_ = ['../alone/alone_imdn_300k_div2k-x4.py', '../_base_/teachers/rcan.py']
model = dict(probe_shape=(3, 16, 16), methods=[dict(type='OutputKD')],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_rcan_300k_div2k-x4/iter_300000.pth'))
