# a quarter of the width and fewer blocks: what a CPU trains while one waits
_base_ = 'glorenet.py'
student = dict(backbone=dict(width=16, blocks=(4, 1)))
model = dict(student=dict(backbone=dict(width=16, blocks=(4, 1))))
