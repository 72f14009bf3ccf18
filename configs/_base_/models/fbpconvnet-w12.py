# a fifth of the width and one level less: 0.3 M parameters, about as many as glorenet-w16
_base_ = 'fbpconvnet.py'
student_name = 'fbpconvnet-w12'
student = dict(backbone=dict(width=12, depth=3))
model = dict(student=dict(backbone=dict(width=12, depth=3)))
