# The authors claim this data set in their abstract, but no script of theirs takes it (T11), so schedule and crops are our decision; the method's defaults are those of the other presets.
# Give the ImageNet weights of the encoders by model.student.checkpoint=... (strict=False); without them the student starts from scratch (T2).
from mmengine import Config
_base_ = '../alone/alone_mit-b0_40k_voc-aug-512x512.py'
teacher_name = 'mit-b2'
teacher = Config.fromfile('{{ fileDirname }}/../alone/alone_mit-b2_40k_voc-aug-512x512.py').model.student
model = dict(methods=[dict(type='TransKD', variant='ea')], teacher=dict(model=teacher, checkpoint='work_dirs/alone_mit-b2_40k_voc-aug-512x512/iter_40000.pth'))
del Config, teacher
