# MGD as published for segmentation: beside it, CWD of the logits
_base_ = './mgd.py'
method_name = 'MGD+CWD'
method_fits = dict(task='segmentation')
methods = [*_base_.methods, dict(type='CWD', tau=4., loss_weight=3.)]
