_base_ = 'aapm-256x256-36v.py'
data_name = 'aapm-256x256-72v'
scanner = dict(views=72)
