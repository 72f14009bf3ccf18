_base_ = 'ct-slices-128x128-36v.py'
data_name = 'ct-slices-128x128-72v'
scanner = dict(views=72)
