_base_ = ['../_base_/models/imdn-rtc.py', '../_base_/datasets/t91-bsds-x4.py', '../_base_/protocols/sr_quick.py', '../_base_/runtime.py']
