# what a stage of GKD without labels has in place of a task: no head, no validation, no test
_base_ = '../runtime.py'
model = dict(type='vkd.Distiller', task_weight=0,
             data_preprocessor=dict(type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True, size=(160, 160)),
             methods=[dict(type='GKD', student='patches', teacher='patches', student_cls='cls', teacher_cls='cls')])
val_cfg = test_cfg = None
