_base_ = ['../_base_/models/lite0.py', '../_base_/datasets/camvid-360x480.py', '../_base_/protocols/camvid_full.py', '../_base_/runtime.py']
student_name = 'lite0-in1k'
model = dict(student=dict(checkpoint='pkg:efficientnet-lite0'))
