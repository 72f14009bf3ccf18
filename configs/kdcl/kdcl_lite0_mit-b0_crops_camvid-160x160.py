_base_ = '../ctcl/ctcl_lite0_mit-b0_crops_camvid-160x160.py'
model = dict(methods=[dict(type='KDCL')])
