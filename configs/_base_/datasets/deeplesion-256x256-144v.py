_base_ = 'deeplesion-256x256-36v.py'
data_name = 'deeplesion-256x256-144v'
scanner = dict(views=144)
