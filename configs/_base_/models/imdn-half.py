# IMDN of half the width: a student with something to learn
_base_ = 'imdn.py'
student_name = 'imdn-half'
student = dict(backbone=dict(channels=32))
model = dict(student=dict(backbone=dict(channels=32)))
