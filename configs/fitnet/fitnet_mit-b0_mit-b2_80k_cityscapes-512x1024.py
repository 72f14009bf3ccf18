from mmengine import Config
_base_ = '../alone/alone_mit-b0_80k_cityscapes-512x1024.py'
teacher_name = 'mit-b2'
teacher = Config.fromfile('{{ fileDirname }}/../alone/alone_mit-b2_80k_cityscapes-512x1024.py').model.student
model = dict(methods=[dict(type='FitNet', student='backbone[3]', teacher='backbone[3]')], teacher=dict(model=teacher, checkpoint='work_dirs/alone_mit-b2_80k_cityscapes-512x1024/iter_80000.pth'))
del Config, teacher
