# the teacher is the student's own moving average: nothing to train first
_base_ = '../alone/alone_imdn_300k_div2k-x4.py'
teacher_name = 'ema'
model = dict(methods=[dict(type='OutputKD')], teacher=dict(model={{_base_.student}}, ema=True, momentum=0.999))
