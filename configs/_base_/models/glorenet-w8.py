# for drawn phantoms: an eighth of the width; it corrects the back-projection, where the paper's draws the slice itself, which takes more than such a run
_base_ = 'glorenet.py'
student_name = 'glorenet-w8'
student = dict(backbone=dict(width=8, blocks=(2, 1), residual=True))
model = dict(student=dict(backbone=dict(width=8, blocks=(2, 1), residual=True)))
