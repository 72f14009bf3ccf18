# the teacher is the student's own moving average: nothing to train first
_base_ = '../alone/alone_imdn-narrow_quick_demo-x2.py'
teacher_name = 'ema'
model = dict(methods=[dict(type='OutputKD')], teacher=dict(model={{_base_.student}}, ema=True, momentum=0.999))
