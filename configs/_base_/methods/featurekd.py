# the last map of a backbone of four stages
method_name = 'FeatureKD'
method_fits = dict(task='segmentation')
methods = [dict(type='FeatureKD', student='backbone[3]', teacher='backbone[3]', normalize=True)]
