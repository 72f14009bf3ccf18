_base_ = 'glorenet-w16.py'
student_name = 'glorenet-w16-legacy'
student = dict(backbone=dict(legacy_split=True))
model = dict(student=dict(backbone=dict(legacy_split=True)))
