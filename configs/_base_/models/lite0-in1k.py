# lite0 with ImageNet weights from the package index
_base_ = './lite0.py'
student_name = 'lite0-in1k'
student_kind = 'cnn'
model = dict(student=dict(checkpoint='pkg:efficientnet-lite0'))
