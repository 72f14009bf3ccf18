from mmengine import Config
_base_ = '../alone/alone_mit-b0_80k_ade20k-512x512.py'
teacher_name = 'mit-b2'
teacher = Config.fromfile('{{ fileDirname }}/../alone/alone_mit-b2_80k_ade20k-512x512.py').model.student
model = dict(methods=[dict(type='MGD', student='backbone[3]', teacher='backbone[3]')], teacher=dict(model=teacher, checkpoint='work_dirs/alone_mit-b2_80k_ade20k-512x512/iter_80000.pth'))
del Config, teacher
