# the student's own moving average: nothing to train first
teacher_name = 'ema'
teacher = dict(ema=True, momentum=0.999)
