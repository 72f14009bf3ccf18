# a quarter of the width and fewer blocks: what a CPU trains while one waits; it corrects the back-projection, where the paper's draws the slice itself, which takes more than such a run
_base_ = 'glorenet.py'
student_name = 'glorenet-w16'
student = dict(backbone=dict(width=16, blocks=(4, 1), residual=True))
model = dict(student=dict(backbone=dict(width=16, blocks=(4, 1), residual=True)))
