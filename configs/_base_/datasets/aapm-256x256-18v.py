_base_ = 'aapm-256x256-36v.py'
scanner = dict(views=18)
