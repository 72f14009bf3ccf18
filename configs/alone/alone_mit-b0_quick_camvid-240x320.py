_base_ = ['../_base_/models/mit-b0.py', '../_base_/datasets/camvid-240x320.py', '../_base_/protocols/camvid_quick.py', '../_base_/runtime.py']
