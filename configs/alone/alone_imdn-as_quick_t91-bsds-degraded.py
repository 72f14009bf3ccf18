_base_ = ['../_base_/models/imdn-as.py', '../_base_/datasets/t91-bsds-degraded.py', '../_base_/protocols/sr_quick.py', '../_base_/runtime.py']
