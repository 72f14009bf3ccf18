# no distillation: the whole student learns the task, as long as a decoder in stage 2
_base_ = ['../_base_/models/deit-ti.py', '../_base_/datasets/camvid-domains-160x160.py', '../_base_/protocols/camvid_domains.py', '../_base_/runtime.py']
