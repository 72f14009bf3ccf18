# the map before images are enlarged
method_name = 'FeatureKD'
method_fits = dict(task='super-resolution')
methods = [dict(type='FeatureKD', student='backbone.conv_after_body', teacher='backbone.conv_after_body', normalize=True, loss_weight=0.01)]
