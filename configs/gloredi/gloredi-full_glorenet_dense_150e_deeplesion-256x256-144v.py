_base_ = 'gloredi-full_glorenet_dense_150e_deeplesion-256x256-36v.py'
model = dict(data_preprocessor=dict(views=144, teacher_views=288))
