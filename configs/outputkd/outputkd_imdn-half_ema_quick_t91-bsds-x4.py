# the teacher is the student's own moving average: nothing to train first
_base_ = '../alone/alone_imdn-half_quick_t91-bsds-x4.py'
teacher_name = 'ema'
model = dict(methods=[dict(type='OutputKD')], teacher=dict(model={{_base_.student}}, ema=True, momentum=0.999))
