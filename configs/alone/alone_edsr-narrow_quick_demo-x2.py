_base_ = ['../_base_/models/edsr-narrow.py', '../_base_/datasets/demo-x2.py', '../_base_/protocols/sr_demo.py', '../_base_/runtime.py']
