# lite2 with ImageNet weights from the package index
_base_ = './lite2.py'
student_name = 'lite2-in1k'
student_kind = 'cnn'
model = dict(student=dict(checkpoint='pkg:efficientnet-lite2'))
