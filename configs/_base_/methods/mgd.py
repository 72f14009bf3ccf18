# the last map of a backbone of four stages
method_name = 'MGD'
method_fits = dict(task='segmentation')
methods = [dict(type='MGD', student='backbone[3]', teacher='backbone[3]')]
