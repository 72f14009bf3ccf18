_base_ = 'gloredi-full_glorenet-w8_dense_quick_demo-ct-12v.py'
model = dict(methods=[dict(type='GloReDi', variant='rdd')])
