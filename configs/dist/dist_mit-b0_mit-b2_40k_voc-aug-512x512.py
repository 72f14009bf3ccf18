from mmengine import Config
_base_ = '../alone/alone_mit-b0_40k_voc-aug-512x512.py'
teacher_name = 'mit-b2'
teacher = Config.fromfile('{{ fileDirname }}/../alone/alone_mit-b2_40k_voc-aug-512x512.py').model.student
model = dict(methods=[dict(type='DIST')], teacher=dict(model=teacher, checkpoint='work_dirs/alone_mit-b2_40k_voc-aug-512x512/iter_40000.pth'))
del Config, teacher
