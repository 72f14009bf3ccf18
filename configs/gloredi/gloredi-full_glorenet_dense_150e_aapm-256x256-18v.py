_base_ = 'gloredi-full_glorenet_dense_150e_aapm-256x256-36v.py'
data_name = 'aapm-256x256-18v'
model = dict(data_preprocessor=dict(views=18, teacher_views=36))
