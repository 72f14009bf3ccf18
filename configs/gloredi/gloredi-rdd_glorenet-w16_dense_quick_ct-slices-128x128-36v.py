_base_ = 'gloredi-full_glorenet-w16_dense_quick_ct-slices-128x128-36v.py'
model = dict(methods=[dict(type='GloReDi', variant='rdd')])
