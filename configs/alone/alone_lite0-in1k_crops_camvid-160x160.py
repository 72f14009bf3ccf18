_base_ = ['../_base_/models/lite0.py', '../_base_/datasets/camvid-160x160.py', '../_base_/protocols/camvid_crops.py', '../_base_/runtime.py']
student_name = 'lite0-in1k'
model = dict(student=dict(checkpoint='pkg:efficientnet-lite0'))
