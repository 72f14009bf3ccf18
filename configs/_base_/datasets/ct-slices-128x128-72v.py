_base_ = 'ct-slices-128x128-36v.py'
scanner = dict(views=72)
