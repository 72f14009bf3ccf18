# the map before images are enlarged
method_name = 'FAKD'
method_fits = dict(task='super-resolution')
methods = [dict(type='FAKD', student='backbone.conv_after_body', teacher='backbone.conv_after_body', pool=2, loss_weight=0.1)]
