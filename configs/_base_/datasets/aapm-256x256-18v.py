_base_ = 'aapm-256x256-36v.py'
data_name = 'aapm-256x256-18v'
scanner = dict(views=18)
