_base_ = 'deeplesion-256x256-36v.py'
data_name = 'deeplesion-256x256-18v'
scanner = dict(views=18)
