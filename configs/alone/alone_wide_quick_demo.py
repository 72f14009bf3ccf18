_base_ = ['../_base_/models/wide.py', '../_base_/datasets/demo.py', '../_base_/protocols/demo_quick.py', '../_base_/runtime.py']
