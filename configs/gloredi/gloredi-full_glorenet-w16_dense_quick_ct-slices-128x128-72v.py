_base_ = 'gloredi-full_glorenet-w16_dense_quick_ct-slices-128x128-36v.py'
data_name = 'ct-slices-128x128-72v'
model = dict(data_preprocessor=dict(views=72, teacher_views=144))
