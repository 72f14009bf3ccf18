# for drawn phantoms: an eighth of the width
_base_ = 'glorenet.py'
student = dict(backbone=dict(width=8, blocks=(2, 1)))
model = dict(student=dict(backbone=dict(width=8, blocks=(2, 1))))
