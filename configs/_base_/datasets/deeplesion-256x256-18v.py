_base_ = 'deeplesion-256x256-36v.py'
scanner = dict(views=18)
