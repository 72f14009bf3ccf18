method_name = 'AT'
methods = [dict(type='AT', loss_weight=10.)]
