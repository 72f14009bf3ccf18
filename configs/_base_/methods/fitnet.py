# the last map of a backbone of four stages
method_name = 'FitNet'
method_fits = dict(task='segmentation')
methods = [dict(type='FitNet', student='backbone[3]', teacher='backbone[3]')]
