_base_ = ['../_base_/models/lite0.py', '../_base_/datasets/camvid-240x320.py', '../_base_/protocols/camvid_quick.py', '../_base_/runtime.py']
student_name = 'lite0-in1k'
model = dict(student=dict(checkpoint='pkg:efficientnet-lite0'))
